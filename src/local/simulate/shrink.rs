//! Makes a plan small: lines are taken out and delays zeroed for as long as it still fails.

use super::plan::{Delays, Effect, Plan, State, What};

/// The smallest plan that still `fails`, as far as single steps lead.
///
/// Only takes away. An operation keeps at least one delivery, since an event that never comes is
/// no schedule that anyone promises anything for.
pub fn shrink(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    let mut least = plan.clone();
    loop {
        let smaller = candidates(&least).into_iter().find(|plan| fails(plan));
        match smaller {
            Some(plan) => least = plan,
            None => return least,
        }
    }
}

/// Every plan that is one step smaller.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    let mut offer = |change: &dyn Fn(&mut Plan)| {
        let mut smaller = plan.clone();
        change(&mut smaller);
        if smaller != *plan && is_whole(&smaller) {
            all.push(smaller);
        }
    };
    for index in 0..plan.operations.len() {
        offer(&|plan| {
            let id = plan.operations.remove(index).id;
            plan.deliveries
                .iter_mut()
                .for_each(|delivery| delivery.events.retain(|event| *event != id));
            plan.deliveries
                .retain(|delivery| !delivery.events.is_empty());
        });
    }
    for index in 0..plan.deliveries.len() {
        offer(&|plan| {
            plan.deliveries.remove(index);
        });
        for event in 0..plan.deliveries[index].events.len() {
            if plan.deliveries[index].events.len() > 1 {
                offer(&|plan| {
                    plan.deliveries[index].events.remove(event);
                });
            }
        }
    }
    for index in 0..plan.disturbances.len() {
        offer(&|plan| {
            plan.disturbances.remove(index);
        });
    }
    for index in 0..plan.outages.len() {
        offer(&|plan| {
            plan.outages.remove(index);
        });
    }
    if !plan.shape.chain && plan.shape.targets > 1 {
        offer(&|plan| plan.shape.targets -= 1);
    }
    for index in 0..plan.disturbances.len() {
        for effect in simpler(plan.disturbances[index].effect) {
            offer(&|plan| plan.disturbances[index].effect = effect);
        }
    }
    for index in 0..plan.operations.len() {
        if let What::Put(state) = plan.operations[index].what {
            for state in plainer(state) {
                offer(&|plan| plan.operations[index].what = What::Put(state));
            }
        }
    }
    all
}

/// Whether every operation's key is looked at afterwards: because of its event, or by a sync.
fn is_whole(plan: &Plan) -> bool {
    let is_of_key = |id: &u16, key| plan.operation(*id).is_some_and(|one| one.key == key);
    !plan.operations.is_empty()
        && plan.operations.iter().all(|operation| {
            plan.deliveries.iter().any(|delivery| {
                let mut events = delivery.events.iter();
                match delivery.is_sync {
                    true => {
                        delivery.at >= operation.at && events.any(|id| is_of_key(id, operation.key))
                    }
                    false => events.any(|id| *id == operation.id),
                }
            })
        })
}

fn simpler(effect: Effect) -> Vec<Effect> {
    match effect {
        Effect::Slow(delays) => [
            Delays {
                way_in: 0,
                ..delays
            },
            Delays { work: 0, ..delays },
            Delays {
                way_back: 0,
                ..delays
            },
        ]
        .map(Effect::Slow)
        .into(),
        Effect::Kill { sent: true, .. } => vec![
            Effect::Kill {
                sent: false,
                way_in: 0,
            },
            Effect::Kill {
                sent: true,
                way_in: 0,
            },
        ],
        Effect::Reset {
            noticed,
            takes_effect,
            ..
        } => {
            vec![Effect::Reset {
                noticed,
                takes_effect,
                way_in: 0,
            }]
        }
        Effect::Silence { .. } => vec![Effect::Silence { way_in: 0 }],
        Effect::Kill { .. } | Effect::Answer(_) | Effect::Freeze(_) => Vec::new(),
    }
}

fn plainer(state: State) -> [State; 3] {
    [
        State {
            metadata: 0,
            ..state
        },
        State { header: 0, ..state },
        State { tags: 0, ..state },
    ]
}

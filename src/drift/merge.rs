//! Listings of one master and many targets, side by side in key order. Pure: over any streams.
//!
//! Invariant: a key is seen once, with what every listing says of it. That rests on every listing
//! coming in the order of its keys' UTF-8 bytes, as S3 has it; one that does not is given up, since
//! a key that was passed would be called missing.

use futures_util::stream::{Stream, StreamExt};

use crate::change::ObjectKey;
use crate::error::{Failure, Kind, Place};
use crate::excerpt::excerpt;

/// What a listing says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// In bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
}

/// A line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key, decoded.
    pub key: ObjectKey,
    /// What is there.
    pub entry: Entry,
}

/// What is known of a key in one bucket before it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// It is not in the listing.
    Absent,
    /// It is.
    Listed(Entry),
    /// There is no listing to tell.
    Unlisted,
    /// The listing ended in a failure, so nothing is asked of this bucket any more.
    Lost,
}

/// A key, and what is known of it in the master and in each target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: ObjectKey,
    /// In the master.
    pub master: Sight,
    /// In the targets, in their order.
    pub replicas: Vec<Sight>,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// A key.
    Row(Row),
    /// A listing has ended in a failure: the master's (`None`), or a target's.
    Lost(Option<usize>, Failure),
}

/// The store lists in another order than S3.
#[derive(Debug, thiserror::Error)]
#[error(
    "the listing is not in the order of its keys' UTF-8 bytes: `{}` came after `{}`, so listings \
     cannot be compared; name single prefixes, or take the keys from an inventory",
    excerpt(key),
    excerpt(before)
)]
struct OutOfOrder {
    before: String,
    key: String,
}

/// Several listings in step.
#[derive(Debug)]
pub struct Merge<S> {
    /// The master's first.
    listings: Vec<Listing<S>>,
}

#[derive(Debug)]
struct Listing<S> {
    place: Place,
    stream: Option<S>,
    head: Head,
    previous: Option<ObjectKey>,
}

#[derive(Debug)]
enum Head {
    Unread,
    Line(Listed),
    End,
    Lost,
}

impl<S: Stream<Item = Result<Listed, Failure>> + Unpin> Merge<S> {
    /// The master's listing and those of the targets, `None` for one that is lost already.
    pub fn new(master: (Place, S), targets: Vec<(Place, Option<S>)>) -> Self {
        let (place, stream) = master;
        let listings = [(place, Some(stream))].into_iter().chain(targets);
        let listings = listings.map(|(place, stream)| Listing {
            head: match stream {
                Some(_) => Head::Unread,
                None => Head::Lost,
            },
            place,
            stream,
            previous: None,
        });
        Self {
            listings: listings.collect(),
        }
    }

    /// The next key in order, or a listing that is lost. Nothing comes behind a lost master.
    pub async fn next(&mut self) -> Option<Next> {
        for index in 0..self.listings.len() {
            if let Err(failure) = self.listings[index].read().await {
                return Some(Next::Lost(index.checked_sub(1), failure));
            }
        }
        if matches!(self.listings[0].head, Head::Lost) {
            return None;
        }
        let lines = self.listings.iter().filter_map(|listing| listing.key());
        let key = lines.min()?.clone();
        let mut sights = self.listings.iter_mut().map(|listing| listing.take(&key));
        let master = sights.next().expect("the master's is the first");
        let replicas = sights.collect();
        Some(Next::Row(Row {
            key,
            master,
            replicas,
        }))
    }
}

impl<S: Stream<Item = Result<Listed, Failure>> + Unpin> Listing<S> {
    /// Reads the next line, where the last one is used up.
    async fn read(&mut self) -> Result<(), Failure> {
        let (Head::Unread, Some(stream)) = (&self.head, &mut self.stream) else {
            return Ok(());
        };
        let line = match stream.next().await {
            None => {
                (self.head, self.stream) = (Head::End, None);
                return Ok(());
            }
            Some(line) => line.and_then(|line| self.in_order(line)),
        };
        match line {
            Ok(line) => self.head = Head::Line(line),
            Err(failure) => {
                (self.head, self.stream) = (Head::Lost, None);
                return Err(failure);
            }
        }
        Ok(())
    }

    fn in_order(&mut self, line: Listed) -> Result<Listed, Failure> {
        match self.previous.replace(line.key.clone()) {
            Some(before) if before >= line.key => {
                let cause = OutOfOrder {
                    before: before.as_str().to_owned(),
                    key: line.key.as_str().to_owned(),
                };
                let place = self.place.clone();
                Err(Failure::new(Kind::Permanent, "ListObjectsV2", place, cause))
            }
            _ => Ok(line),
        }
    }

    fn key(&self) -> Option<&ObjectKey> {
        match &self.head {
            Head::Line(line) => Some(&line.key),
            _ => None,
        }
    }

    fn take(&mut self, key: &ObjectKey) -> Sight {
        match &mut self.head {
            Head::Lost => Sight::Lost,
            Head::Line(line) if line.key == *key => {
                match std::mem::replace(&mut self.head, Head::Unread) {
                    Head::Line(line) => Sight::Listed(line.entry),
                    _ => unreachable!("it was a line"),
                }
            }
            _ => Sight::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::stream;
    use rstest::rstest;

    use super::*;

    fn place(bucket: &str) -> Place {
        Place {
            bucket: bucket.to_owned(),
            key: None,
            site: "here".to_owned(),
        }
    }

    /// A listing by its keys, `!` being a failure.
    fn listing(keys: &'static str) -> impl Stream<Item = Result<Listed, Failure>> + Unpin {
        stream::iter(keys.split_whitespace().map(|key| match key {
            "!" => Err(Failure::new(
                Kind::Retryable,
                "ListObjectsV2",
                place("x"),
                "down",
            )),
            key => Ok(Listed {
                key: ObjectKey::new(key).expect("a key"),
                entry: Entry {
                    size: 1,
                    etag: String::new(),
                },
            }),
        }))
    }

    /// Keys with a letter for every bucket: listed, absent (`-`), lost (`!`).
    fn merged(master: &'static str, targets: &[&'static str]) -> Vec<String> {
        let targets = targets.iter().map(|keys| (place("t"), Some(listing(keys))));
        let mut merge = Merge::new((place("m"), listing(master)), targets.collect());
        let shown = |sight: &Sight| match sight {
            Sight::Listed(_) => 'x',
            Sight::Lost => '!',
            _ => '-',
        };
        std::iter::from_fn(|| merge.next().now_or_never().expect("nothing to wait for"))
            .map(|next| match next {
                Next::Row(row) => {
                    let sights = std::iter::once(&row.master).chain(&row.replicas);
                    format!("{} {}", row.key, sights.map(shown).collect::<String>())
                }
                Next::Lost(None, _) => "master lost".to_owned(),
                Next::Lost(Some(target), failure) => {
                    let out_of_order = failure.chain().contains("UTF-8");
                    format!("{target} lost{}", if out_of_order { " order" } else { "" })
                }
            })
            .collect()
    }

    #[rstest]
    #[case::nothing("", &[""], &[])]
    #[case::the_same("a b", &["a b"], &["a xx", "b xx"])]
    #[case::missing_and_extra("a c", &["b c", "a"], &["a x-x", "b -x-", "c xx-"])]
    #[case::by_bytes("B a é 🦀", &["a", "🦀"], &["B x--", "a xx-", "é x--", "🦀 x-x"])]
    #[case::slash_after_dash("a-b a/b", &["a/b"], &["a-b x-", "a/b xx"])]
    #[case::lost_from_there_on("a b c", &["a !", "a b c"], &["a xxx", "0 lost", "b x!x", "c x!x"])]
    #[case::master_lost("a !", &["a b c"], &["a xx", "master lost"])]
    #[case::wrong_order("a b", &["a/b a-b"], &["a x-", "a/b -x", "0 lost order", "b x!"])]
    #[case::a_key_twice("a b", &["a a"], &["a xx", "0 lost order", "b x!"])]
    #[case::master_in_wrong_order("b a", &["a b"], &["a -x", "b xx", "master lost"])]
    fn a_key_is_seen_once_with_what_every_listing_says(
        #[case] master: &'static str,
        #[case] targets: &[&'static str],
        #[case] expected: &[&str],
    ) {
        assert_eq!(merged(master, targets), expected);
    }
}

//! Master and targets as they are: there, where they are said to be, and set so that replicas can
//! be what they should.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ExpirationStatus, LifecycleRule, ObjectOwnership, ServerSideEncryption,
};

use super::head::head;
use super::{Finding, Status};
use crate::cli::account::{Account, Identity, ask};
use crate::cli::setup::tags::Tags;
use crate::error::{Failure, Kind, chain};
use crate::site::Bucket;

/// Who asks, and the master, without which there is nothing more to look at.
pub(in crate::cli) async fn introduce(
    account: &Account,
    name: &str,
) -> (Vec<Finding>, Option<Identity>, Option<Bucket>) {
    let mut findings = Vec::new();
    let identity = match account.identity().await {
        Ok(identity) => {
            let found = format!("{} of account {}", identity.arn, identity.account);
            findings.push(Finding::ok("credentials", found));
            Some(identity)
        }
        Err(error) => {
            findings.push(Finding::unknown("credentials", chain(&error)));
            None
        }
    };
    let master = match locate(account, name).await {
        Ok(master) => master,
        Err(found) => {
            findings.extend(found);
            return (findings, identity, None);
        }
    };
    let found = format!("s3://{} is in {}", master.name, master.site.region());
    findings.push(Finding::ok("master", found));
    if let Some(identity) = &identity {
        findings.push(owner(&master, &identity.account).await);
    }
    (findings, identity, Some(master))
}

/// Finds the master, whose region nobody has named, at the site of its region. Where it cannot be
/// found, a clock that is wrong is told first, since requests are refused for that alone.
pub(in crate::cli) async fn locate(account: &Account, name: &str) -> Result<Bucket, Vec<Finding>> {
    let home = account.bucket(name, account.sites.home()).await;
    let home = home.map_err(|failure| vec![refused("master", &failure)])?;
    let (head, result) = head(&home, None).await;
    let with_clock = |finding| head.skew().into_iter().chain([finding]).collect();
    let bucket = match &head.region {
        Some(region) if region != home.site.region() && !region.is_empty() => {
            let bucket = account.bucket(name, region).await;
            bucket.map_err(|failure| with_clock(refused("master", &failure)))?
        }
        _ => match result {
            Err(_) if head.status == Some(404) => return Err(with_clock(missing("master", &home))),
            Err(failure) => return Err(with_clock(refused("master", &failure))),
            Ok(()) => home,
        },
    };
    match exists("master", &bucket).await {
        found if found.status == Status::Error => Err(with_clock(found)),
        _ => Ok(bucket),
    }
}

/// A request about a bucket that failed, and what to do about it.
pub(in crate::cli) fn refused(check: &'static str, failure: &Failure) -> Finding {
    let mend = match failure.kind {
        Kind::Retryable | Kind::NoAnswer => format!(
            "check that {} is a region that exists and is enabled for the account, and try again",
            failure.place.site
        ),
        _ => "check the credentials (AWS_PROFILE), their permissions and the bucket's policy"
            .to_owned(),
    };
    Finding::error(check, failure.chain(), mend)
}

fn missing(check: &'static str, bucket: &Bucket) -> Finding {
    Finding::error(
        check,
        format!("s3://{} does not exist", bucket.name),
        format!(
            "aws s3 mb s3://{} --region {}",
            bucket.name,
            bucket.site.region()
        ),
    )
}

/// Whether the bucket is there, and where the tag says.
pub(in crate::cli) async fn exists(check: &'static str, bucket: &Bucket) -> Finding {
    let (head, result) = head(bucket, None).await;
    let expected = bucket.site.region();
    let name = format!("s3://{}", bucket.name);
    match (&head.region, result) {
        (Some(region), _) if region != expected && !region.is_empty() => Finding::error(
            check,
            format!("{name} is in {region}, not in {expected}"),
            format!("name it as {}@{region}", bucket.name),
        ),
        (_, Err(_)) if head.status == Some(404) => missing(check, bucket),
        (_, Err(failure)) => refused(check, &failure),
        (_, Ok(())) => Finding::ok(check, format!("{name} is in {expected}")),
    }
}

/// Whether the master is of the account whose buckets the destination is told to trust.
pub(in crate::cli) async fn owner(master: &Bucket, account: &str) -> Finding {
    let name = format!("s3://{}", master.name);
    let (head, result) = head(master, Some(account)).await;
    match result {
        Ok(()) => Finding::ok("owner", format!("{name} belongs to account {account}")),
        Err(_) if head.status == Some(403) => Finding::error(
            "owner",
            format!("{name} belongs to another account than these credentials, {account}"),
            "run this with credentials of the account that owns the bucket (AWS_PROFILE)",
        ),
        Err(failure) => Finding::unknown("owner", failure.chain()),
    }
}

/// Whether a bucket is known to be an account's.
pub(in crate::cli) async fn is_of(bucket: &Bucket, account: &str) -> bool {
    head(bucket, Some(account)).await.1.is_ok()
}

/// The tags of a bucket; none is no error.
pub(in crate::cli) async fn read_tags(bucket: &Bucket) -> Result<Tags, Failure> {
    let get = bucket.site.client.get_bucket_tagging();
    let request = absent_by("NoSuchTagSet", get.bucket(&bucket.name).send());
    let answer = ask(bucket, "GetBucketTagging", request).await?;
    let tags = answer.map(|answer| answer.tag_set).unwrap_or_default();
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// That nobody can say whether a target leads back to the master, if its tags cannot be read.
pub(in crate::cli) async fn hidden_tags(target: &Bucket) -> Option<Finding> {
    let failure = read_tags(target).await.err()?;
    let why = format!("whether it leads back to the master: {}", failure.chain());
    Some(Finding::unknown("cycle", why))
}

/// Whether a delete at the master means the same at the target.
pub(in crate::cli) async fn versioning(
    master: &Bucket,
    target: &Bucket,
) -> Result<Finding, Failure> {
    let (ours, theirs) = (keeps_versions(master).await?, keeps_versions(target).await?);
    let name = format!("s3://{}", target.name);
    Ok(match (ours, theirs) {
        (true, false) => Finding::warning(
            "versioning",
            format!(
                "s3://{} keeps old versions and {name} does not: what is deleted or overwritten \
                 is gone there for good",
                master.name
            ),
            format!(
                "aws s3api put-bucket-versioning --bucket {} --region {} \
                 --versioning-configuration Status=Enabled",
                target.name,
                target.site.region()
            ),
        ),
        (true, true) => Finding::ok(
            "versioning",
            format!("{name} keeps old versions, as the master"),
        ),
        (false, true) => Finding::ok(
            "versioning",
            format!("{name} keeps old versions of replicas"),
        ),
        (false, false) => Finding::ok(
            "versioning",
            format!("{name} keeps no old versions, as the master"),
        ),
    })
}

async fn keeps_versions(bucket: &Bucket) -> Result<bool, Failure> {
    let request = bucket
        .site
        .client
        .get_bucket_versioning()
        .bucket(&bucket.name);
    let answer = ask(bucket, "GetBucketVersioning", request.send()).await?;
    Ok(answer.status == Some(BucketVersioningStatus::Enabled))
}

/// Whether what is encrypted with a key stays so: replicas are encrypted as the target's default
/// says.
pub(in crate::cli) async fn encryption(
    master: &Bucket,
    target: &Bucket,
) -> Result<Finding, Failure> {
    let (ours, theirs) = (kms_key(master).await?, kms_key(target).await?);
    let name = format!("s3://{}", target.name);
    Ok(match (ours, theirs) {
        (Some(_), None) => Finding::error(
            "encryption",
            format!(
                "s3://{} encrypts with a KMS key and {name} does not: replicas lose that protection",
                master.name
            ),
            format!(
                "aws s3api put-bucket-encryption --bucket {} --region {} \
                 --server-side-encryption-configuration '{{\"Rules\":[{{\
                 \"ApplyServerSideEncryptionByDefault\":{{\"SSEAlgorithm\":\"aws:kms\",\
                 \"KMSMasterKeyID\":\"KEY_ARN\"}},\"BucketKeyEnabled\":true}}]}}'",
                target.name,
                target.site.region()
            ),
        ),
        (_, Some(_)) => Finding::ok("encryption", format!("{name} encrypts with a KMS key")),
        (None, None) => Finding::ok(
            "encryption",
            format!("{name} encrypts as S3 does by default"),
        ),
    })
}

/// The KMS key that a bucket encrypts with: its id, or nothing where it is AWS's own.
pub(in crate::cli) async fn kms_key(bucket: &Bucket) -> Result<Option<Option<String>>, Failure> {
    let get = bucket
        .site
        .client
        .get_bucket_encryption()
        .bucket(&bucket.name);
    let request = absent_by("ServerSideEncryptionConfigurationNotFoundError", get.send());
    let answer = ask(bucket, "GetBucketEncryption", request).await?;
    let rules = answer.and_then(|answer| answer.server_side_encryption_configuration);
    let rule = rules.and_then(|it| it.rules.into_iter().next());
    let default = rule.and_then(|it| it.apply_server_side_encryption_by_default);
    Ok(default
        .filter(|it| {
            matches!(
                it.sse_algorithm,
                ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse
            )
        })
        .map(|it| it.kms_master_key_id))
}

/// Whether replicas belong to the owner of the target.
pub(in crate::cli) async fn ownership(target: &Bucket) -> Result<Finding, Failure> {
    let get = target.site.client.get_bucket_ownership_controls();
    let get = get.bucket(&target.name);
    let request = absent_by("OwnershipControlsNotFoundError", get.send());
    let answer = ask(target, "GetBucketOwnershipControls", request).await?;
    let rules = answer.and_then(|answer| answer.ownership_controls);
    let rule = rules.and_then(|it| it.rules.into_iter().next());
    let name = format!("s3://{}", target.name);
    Ok(match rule.map(|it| it.object_ownership) {
        Some(ObjectOwnership::BucketOwnerEnforced) => {
            Finding::ok("ownership", format!("{name} owns its replicas"))
        }
        other => Finding::warning(
            "ownership",
            format!(
                "{name} has object ownership {}: replicas that another account's role writes \
                 belong to that account, and ACLs are not replicated",
                other.as_ref().map_or("ObjectWriter", |it| it.as_str())
            ),
            format!(
                "aws s3api put-bucket-ownership-controls --bucket {} --region {} \
                 --ownership-controls 'Rules=[{{ObjectOwnership=BucketOwnerEnforced}}]'",
                target.name,
                target.site.region()
            ),
        ),
    })
}

/// Whether uploads that nobody goes on with are removed some day: they cost, and nobody sees them.
pub(in crate::cli) async fn uploads(target: &Bucket) -> Result<Finding, Failure> {
    let get = target.site.client.get_bucket_lifecycle_configuration();
    let request = absent_by(
        "NoSuchLifecycleConfiguration",
        get.bucket(&target.name).send(),
    );
    let answer = ask(target, "GetBucketLifecycleConfiguration", request).await?;
    let rules = answer.and_then(|answer| answer.rules).unwrap_or_default();
    let days = rules
        .iter()
        .filter(|rule| rule.status == ExpirationStatus::Enabled && is_for_all(rule))
        .filter_map(|rule| rule.abort_incomplete_multipart_upload.as_ref())
        .filter_map(|abort| abort.days_after_initiation)
        .min();
    let name = format!("s3://{}", target.name);
    let rule = "{\"ID\":\"unfinished-uploads\",\"Status\":\"Enabled\",\"Filter\":{\"Prefix\":\"\"},\
                \"AbortIncompleteMultipartUpload\":{\"DaysAfterInitiation\":7}}";
    Ok(match days {
        Some(days) => Finding::ok(
            "uploads",
            format!("{name} removes unfinished uploads after {}", counted(days)),
        ),
        None if rules.is_empty() => Finding::warning(
            "uploads",
            format!("{name} keeps unfinished uploads for ever"),
            format!(
                "aws s3api put-bucket-lifecycle-configuration --bucket {} --region {} \
                 --lifecycle-configuration '{{\"Rules\":[{rule}]}}'",
                target.name,
                target.site.region()
            ),
        ),
        // The command would replace the rules that are there.
        None => Finding::warning(
            "uploads",
            format!("{name} has lifecycle rules, and none that removes all unfinished uploads"),
            format!("add to its lifecycle rules: {rule}"),
        ),
    })
}

fn counted(days: i32) -> String {
    match days {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Whether a rule is for every key. One with a filter for tags or sizes cannot abort uploads.
fn is_for_all(rule: &LifecycleRule) -> bool {
    #[expect(deprecated, reason = "rules that were made before filters have it")]
    let prefixes = [
        rule.prefix.as_deref(),
        rule.filter.as_ref().and_then(|it| it.prefix.as_deref()),
        rule.filter
            .as_ref()
            .and_then(|it| it.and.as_ref()?.prefix.as_deref()),
    ];
    prefixes.iter().flatten().all(|prefix| prefix.is_empty())
}

/// An error that only says that there is none.
async fn absent_by<T, E, R>(
    code: &str,
    request: impl Future<Output = Result<T, aws_sdk_s3::error::SdkError<E, R>>>,
) -> Result<Option<T>, aws_sdk_s3::error::SdkError<E, R>>
where
    E: ProvideErrorMetadata,
{
    match request.await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.code() == Some(code) => Ok(None),
        Err(error) => Err(error),
    }
}

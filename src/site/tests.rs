use aws_runtime::env_config::file::EnvConfigFileKind;
use rstest::rstest;

use super::*;

/// The profile `site` of a configuration file.
async fn profile(text: &str) -> ProfileSet {
    let files = EnvConfigFiles::builder()
        .with_contents(EnvConfigFileKind::Config, text)
        .build();
    let selected = Some("site".into());
    aws_config::profile::load(&Fs::real(), &Env::from_slice(&[]), &files, selected)
        .await
        .unwrap()
}

#[rstest]
#[case::none("[profile site]\nregion = eu-west-1\n", None)]
#[case::direct("[profile site]\nendpoint_url = http://a:1\n", Some("http://a:1"))]
#[case::services_section(
    "[profile site]\nservices = mine\nendpoint_url = http://a:1\n\n\
     [services mine]\ns3 =\n  endpoint_url = http://b:2\n",
    Some("http://b:2")
)]
#[case::another_profile_is_not_asked(
    "[profile site]\nregion = eu-west-1\n\n[default]\nendpoint_url = http://a:1\n",
    None
)]
#[tokio::test]
async fn endpoint_of_a_profile_is_its_own(#[case] text: &str, #[case] expected: Option<&str>) {
    assert_eq!(profile_endpoint(&profile(text).await).as_deref(), expected);
}

#[rstest]
#[case::nothing("region = eu-west-1", CredentialSource::Ambient)]
#[case::static_keys(
    "aws_access_key_id = A\naws_secret_access_key = s",
    CredentialSource::AccessKey("A".to_owned())
)]
#[case::role("role_arn = arn:r\nsource_profile = x", CredentialSource::Role("arn:r".to_owned()))]
#[case::process("credential_process = /bin/x", CredentialSource::Profile("site".to_owned()))]
#[tokio::test]
async fn credentials_of_a_profile_are_its_own(
    #[case] lines: &str,
    #[case] expected: CredentialSource,
) {
    let profile = profile(&format!("[profile site]\n{lines}\n")).await;
    assert_eq!(credential_source("site", &profile), expected);
}

#[rstest]
#[case("us-east-1", "aws")]
#[case("us-gov-west-1", "aws-us-gov")]
#[case("us-iso-east-1", "aws-iso")]
#[case("us-isob-east-1", "aws-iso-b")]
#[case("cn-north-1", "aws-cn")]
#[case("eusc-de-east-1", "aws-eusc")]
fn regions_of_one_partition_are_one_service(#[case] region: &str, #[case] expected: &str) {
    assert_eq!(partition(region), expected);
}

"""Creates the deploy template in moto's CloudFormation, and looks at what came out.

It goes the way of a user: `aws cloudformation package` uploads the code, `deploy` creates a stack of
each variant. Everything is on loopback, and nothing of the caller's AWS configuration is used.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

ACCOUNT = "123456789012"
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

import boto3  # noqa: E402
from cfnlint.decode import cfn_yaml  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1"
COMMON = ["MasterBuckets=artifacts,images", "TargetBuckets=copy-1,copy-2"]
# It creates the others. What the queue's policy says is read by the test of policies.
UNKNOWN_TO_MOTO = {
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
VARIANTS = {
    "queue": [],
    "topic": ["Via=Topic", "LargestObject=100GiB", f"AlarmTopic=arn:aws:sns:eu-central-1:{ACCOUNT}:ops"],
    "events": ["Via=EventBridge", "LargestObject=1TiB", "LongestOutage=72h"],
    "keys": [f"MasterKeys={KEY}", f"TargetKeys={KEY},{KEY}2", "TargetAccounts=111122223333"],
}
OF_VARIANT = {"topic": {"Topic", "TopicPolicy", "Subscription"}, "events": {"Rule"}}


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, expected {wanted!r}")


def aws(*arguments):
    command = [sys.executable, "-m", "awscli", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"aws {' '.join(arguments)}\n{ended.stdout}{ended.stderr}")


def packaged(folder):
    """The template with its code in a bucket; the code itself is not run."""
    template = Path("deploy/template.yaml").read_text()
    code = folder / "code.zip"
    with zipfile.ZipFile(code, "w") as package:
        package.writestr("bootstrap", "")
    code_line = "Code: ../target/lambda/s3-replicator-arm64.zip"
    expect("lines of the template with its code", template.count(code_line), 1)
    source, made = folder / "source.yaml", folder / "packaged.yaml"
    source.write_text(template.replace(code_line, "Code: code.zip"))
    boto3.client("s3").create_bucket(
        Bucket="code", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    aws("cloudformation", "package", "--template-file", str(source), "--s3-bucket", "code",
        "--output-template-file", str(made))
    return made


def look(stack):
    """The resources of a stack as their services have them."""
    described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    expect(f"{stack}: status", described["StackStatus"], "CREATE_COMPLETE")
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    ids = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in resources
        if "LogicalResourceId" in resource
    }
    absent = {name for name in declared if name not in ids}
    unknown = {name for name, kind in declared.items() if kind in UNKNOWN_TO_MOTO}
    others = {"Topic", "TopicPolicy", "Subscription", "Rule"} - OF_VARIANT.get(stack, set())
    expect(f"{stack}: what is missing", absent, unknown | others)
    sqs = boto3.client("sqs")
    queue, dead = (
        sqs.get_queue_attributes(QueueUrl=ids[name], AttributeNames=["All"])["Attributes"]
        for name in ("Queue", "DeadLetters")
    )
    function = boto3.client("lambda").get_function_configuration(FunctionName=ids["Function"])
    mapping = boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    mapping = next(m for m in mapping if m["EventSourceArn"] == queue["QueueArn"])

    expect(f"{stack}: masters", function["Environment"]["Variables"]["S3_REPLICATOR_MASTERS"],
           "artifacts images")
    visibility, timeout = int(queue["VisibilityTimeout"]), function["Timeout"]
    if visibility < 6 * timeout + mapping["MaximumBatchingWindowInSeconds"]:
        sys.exit(f"{stack}: a visibility timeout of {visibility} s is too short for {timeout} s")
    expect(f"{stack}: failures", mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
    redrive = json.loads(queue["RedrivePolicy"])
    expect(f"{stack}: dead letters", redrive["deadLetterTargetArn"], dead["QueueArn"])
    expect(f"{stack}: dead letters' days", dead["MessageRetentionPeriod"], "1209600")

    role = boto3.client("iam")
    names = role.list_role_policies(RoleName=ids["Role"])["PolicyNames"]
    policies = {
        name: role.get_role_policy(RoleName=ids["Role"], PolicyName=name)["PolicyDocument"]
        for name in names
    }
    text = json.dumps(policies)
    for never in ("DeleteObjectVersion", "s3:*", '"*"'):
        expect(f"{stack}: {never} in the role", never in text, False)
    print(f"{stack}: {len(ids)} resources, timeout {timeout} s, visibility {visibility} s, "
          f"{redrive['maxReceiveCount']} receipts, {queue['MessageRetentionPeriod']} s kept")


for noisy in ("werkzeug", "moto"):
    logging.getLogger(noisy).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", message="Tried to parse")
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
os.environ["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
try:
    with tempfile.TemporaryDirectory() as folder:
        declared = cfn_yaml.load("deploy/template.yaml")["Resources"]
        declared = {name: resource["Type"] for name, resource in declared.items()}
        template = packaged(Path(folder))
        for stack, parameters in VARIANTS.items():
            aws("cloudformation", "deploy", "--template-file", str(template), "--stack-name", stack,
                "--capabilities", "CAPABILITY_IAM", "--parameter-overrides", *COMMON, *parameters)
            look(stack)
finally:
    server.stop()

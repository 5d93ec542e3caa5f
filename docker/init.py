"""Creates a tagged master and its targets, and wires the master's notifications.

Runs inside the compose network: `init.py minio|localstack`. May run again.
"""

import json
import sys

import boto3
from botocore.config import Config

MASTER = ("master-us-east-1", "us-east-1")
TARGETS = [
    ("replica-ap-southeast-1", "ap-southeast-1"),
    ("replica-eu-central-1", "eu-central-1"),
]
CREATED, REMOVED, TAGGED = "s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"
QUEUE = "s3-replicator-events"


def client(service, endpoint, key, region="us-east-1"):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=key,
        config=Config(s3={"addressing_style": "path"}),
    )


def create_buckets(s3):
    for bucket, region in [MASTER, *TARGETS]:
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        try:
            s3(region).create_bucket(
                Bucket=bucket, **({"CreateBucketConfiguration": where} if where else {})
            )
        except s3(region).exceptions.BucketAlreadyOwnedByYou:
            pass
    value = " ".join(f"{bucket}@{region}" for bucket, region in TARGETS)
    s3(MASTER[1]).put_bucket_tagging(
        Bucket=MASTER[0],
        Tagging={"TagSet": [{"Key": "ReplicatedTargetBuckets", "Value": value}]},
    )


def notify(s3, arns, events):
    s3(MASTER[1]).put_bucket_notification_configuration(
        Bucket=MASTER[0],
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": events} for arn in arns]
        },
    )


def minio():
    # One server is one region: requests are signed for that one.
    def s3(_region):
        return client("s3", "http://minio:9000", "minioadmin")

    create_buckets(s3)
    # Changes of tags come as `ObjectCreated:PutTagging` there.
    webhooks = [f"arn:minio:sqs::{name}:webhook" for name in ("REPLICATOR", "PROMPT")]
    notify(s3, webhooks, [CREATED, REMOVED])


def localstack():
    endpoint = "http://localstack:4566"

    def s3(region):
        return client("s3", endpoint, "test", region)

    def queue(name, attributes):
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        if attributes:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]

    sqs = client("sqs", endpoint, "test")
    create_buckets(s3)
    dead = queue(f"{QUEUE}-dead", {"MessageRetentionPeriod": "1209600"})
    redrive = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": "5"})
    events = queue(QUEUE, {"RedrivePolicy": redrive, "VisibilityTimeout": "30"})
    notify(s3, [events], [CREATED, REMOVED, TAGGED])


if __name__ == "__main__":
    {"minio": minio, "localstack": localstack}[sys.argv[1]]()

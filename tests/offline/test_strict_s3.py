"""S3 refuses what AWS refuses: keys, missing objects, buckets that are not empty."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator

import pytest
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud


@pytest.fixture(scope="module")
def key(cloud: RunningCloud) -> str:
    """A KMS key whose policy leaves all to identity policies, and denies `shut-out`."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Effect": "Deny",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/shut-out"},
                "Action": "kms:*",
                "Resource": "*",
            },
        ],
    }
    created = cloud.client("kms").create_key(Policy=json.dumps(policy))
    return created["KeyMetadata"]["Arn"]


@pytest.fixture(scope="module")
def bucket(cloud: RunningCloud, key: str) -> Iterator[str]:
    s3 = cloud.client("s3")
    name = f"encrypted-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
        },
    )
    s3.put_object(Bucket=name, Key="there", Body=b"data")
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


def test_an_object_tells_the_key_it_is_encrypted_with(cloud, bucket, key):
    s3 = cloud.client("s3")
    put = s3.put_object(Bucket=bucket, Key="mine", Body=b"x")
    head = s3.head_object(Bucket=bucket, Key="mine")
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_a_key_named_by_id_reads_back_as_arn(cloud, bucket, key):
    s3 = cloud.client("s3")
    key_id = key.rsplit("/", 1)[-1]
    put = s3.put_object(
        Bucket=bucket, Key="mine", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id
    )
    assert put["SSEKMSKeyId"] == key


def test_an_object_of_a_plain_bucket_reads_back_aes256(cloud):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="plain-bucket")
    assert s3.put_object(Bucket="plain-bucket", Key="k", Body=b"")["ServerSideEncryption"]
    assert s3.head_object(Bucket="plain-bucket", Key="k")["ServerSideEncryption"] == "AES256"


def test_put_needs_generate_data_key(acting_as, bucket, key, allow, refusal):
    put = allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*")
    s3 = acting_as("writer-without-key", put)("s3")
    status, code, message = refusal(s3.put_object, Bucket=bucket, Key="new", Body=b"x")
    assert (status, code) == (403, "AccessDenied")
    assert f"kms:GenerateDataKey on resource: {key}" in message
    s3 = acting_as("writer-with-key", put, allow("kms:GenerateDataKey", key))("s3")
    s3.put_object(Bucket=bucket, Key="new", Body=b"x")


def test_get_needs_decrypt_and_head_does_not(acting_as, bucket, key, allow, refusal):
    get = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    s3 = acting_as("reader-without-key", get)("s3")
    status, code, message = refusal(s3.get_object, Bucket=bucket, Key="there")
    assert (status, code) == (403, "AccessDenied")
    assert "kms:Decrypt" in message
    assert s3.head_object(Bucket=bucket, Key="there")["ContentLength"] == 4
    s3 = acting_as("reader-with-key", get, allow("kms:Decrypt", key))("s3")
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"data"


def test_a_presigned_read_needs_decrypt_too(acting_as, bucket, allow):
    s3 = acting_as("presigner", allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))("s3")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "there"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url)
    assert refused.value.code == 403


def test_a_key_may_be_allowed_through_s3_only(acting_as, bucket, key, allow):
    via = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    client = acting_as(
        "via-s3",
        allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"),
        allow("kms:Decrypt", key, Condition=via),
    )
    assert client("s3").get_object(Bucket=bucket, Key="there")["Body"].read() == b"data"


def test_a_deny_in_the_key_policy_wins(acting_as, bucket, key, allow, refusal):
    s3 = acting_as("shut-out", allow("s3:*", f"arn:aws:s3:::{bucket}/*"), allow("kms:*", key))("s3")
    assert refusal(s3.get_object, Bucket=bucket, Key="there")[:2] == (403, "AccessDenied")


def test_a_grant_lets_its_grantee_decrypt(cloud, acting_as, make_role, bucket, key, allow, refusal):
    statement = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    role = make_role("grantee", statement)
    kms = cloud.client("kms")
    grant = kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["Decrypt"])
    s3 = acting_as("grantee", statement)("s3")
    assert s3.get_object(Bucket=bucket, Key="there")["Body"].read() == b"data"
    kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    assert refusal(s3.get_object, Bucket=bucket, Key="there")[0] == 403


def test_a_disabled_key_opens_nothing(cloud, bucket, key, refusal):
    kms, s3 = cloud.client("kms"), cloud.client("s3")
    kms.disable_key(KeyId=key)
    try:
        fault = refusal(s3.get_object, Bucket=bucket, Key="there")
    finally:
        kms.enable_key(KeyId=key)
    assert fault[1] == "KMS.DisabledException"


def test_a_copy_reads_and_writes_with_the_key(acting_as, bucket, key, allow, refusal):
    objects = allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/*")
    source = {"Bucket": bucket, "Key": "there"}
    s3 = acting_as("copier", objects, allow("kms:GenerateDataKey", key))("s3")
    fault = refusal(s3.copy_object, Bucket=bucket, Key="copied", CopySource=source)
    assert "kms:Decrypt" in fault[2]
    s3 = acting_as("copier", objects, allow(["kms:GenerateDataKey", "kms:Decrypt"], key))("s3")
    assert s3.copy_object(Bucket=bucket, Key="copied", CopySource=source)["SSEKMSKeyId"] == key


def test_parts_of_an_upload_need_decrypt(acting_as, bucket, key, allow, refusal):
    put = allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*")
    s3 = acting_as("uploader", put, allow("kms:GenerateDataKey", key))("s3")
    upload = {"Bucket": bucket, "Key": "big"}
    started = s3.create_multipart_upload(**upload)
    part = {**upload, "UploadId": started["UploadId"], "PartNumber": 1, "Body": b"x"}
    assert "kms:Decrypt" in refusal(s3.upload_part, **part)[2]


def test_a_missing_key_is_403_without_list_bucket(acting_as, bucket, allow, refusal):
    get = allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")
    s3 = acting_as("cannot-list", get)("s3")
    status, code, message = refusal(s3.get_object, Bucket=bucket, Key="not-there")
    assert (status, code) == (403, "AccessDenied")
    assert "s3:ListBucket" in message
    assert refusal(s3.head_object, Bucket=bucket, Key="not-there")[0] == 403


def test_a_missing_key_is_404_with_list_bucket(acting_as, bucket, allow, refusal):
    s3 = acting_as(
        "can-list",
        allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"),
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
    )("s3")
    assert refusal(s3.get_object, Bucket=bucket, Key="not-there")[:2] == (404, "NoSuchKey")
    assert refusal(s3.head_object, Bucket=bucket, Key="not-there")[0] == 404


def test_a_tls_only_policy_leaves_the_local_endpoint_open_and_other_denies_shut(
    cloud, acting_as, allow, refusal
):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="tls-only")
    everything = ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything}
    policy = [{**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]
    s3.put_bucket_policy(
        Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": policy})
    )
    user = acting_as("tls-user", allow("s3:*", everything))("s3")
    user.put_object(Bucket="tls-only", Key="k", Body=b"")
    policy = [{**deny, "Action": "s3:GetObject"}]
    s3.put_bucket_policy(
        Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": policy})
    )
    assert refusal(user.get_object, Bucket="tls-only", Key="k")[0] == 403


@pytest.mark.parametrize("versioned", [False, True])
def test_a_bucket_that_holds_anything_cannot_be_deleted(cloud, versioned, refusal):
    s3 = cloud.client("s3")
    name = f"full-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="k", Body=b"")
    if versioned:
        s3.delete_object(Bucket=name, Key="k")
    assert refusal(s3.delete_bucket, Bucket=name)[:2] == (409, "BucketNotEmpty")

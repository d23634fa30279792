"""`package-lambdas` against S3: every file under the seed's key and under the content prefix."""

import boto3
import pytest
from moto import mock_aws
from package_lambdas import content_prefix, main, upload


@pytest.fixture
def bucket(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="code")
        yield s3


def keys(s3):
    return {item["Key"] for item in s3.list_objects_v2(Bucket="code")["Contents"]}


def test_each_zip_goes_up_flat_and_below_the_content_prefix(bucket, tmp_path):
    zips = [tmp_path / "a.py.zip", tmp_path / "byo-staging.zip"]
    for number, path in enumerate(zips):
        path.write_bytes(bytes([number]))
    prefix = upload(bucket, "code", zips)
    assert prefix == content_prefix(zips)
    names = {path.name for path in zips}
    assert keys(bucket) == names | {prefix + name for name in names}


def test_a_changed_zip_gets_a_prefix_of_its_own_and_the_old_one_stays(bucket, tmp_path):
    path = tmp_path / "a.py.zip"
    path.write_bytes(b"old")
    old = upload(bucket, "code", [path])
    path.write_bytes(b"new")
    new = upload(bucket, "code", [path])
    assert old != new
    assert {old + path.name, new + path.name} <= keys(bucket)
    assert bucket.get_object(Bucket="code", Key=path.name)["Body"].read() == b"new"


def test_an_upload_that_fails_is_told_in_a_line(bucket, tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.py.zip"
    path.write_bytes(b"zip")
    monkeypatch.setattr("sys.argv", ["package_lambdas.py", "missing", str(path)])
    assert main() == 1
    assert "upload to s3://missing failed: " in (told := capsys.readouterr().err)
    assert "NoSuchBucket" in told

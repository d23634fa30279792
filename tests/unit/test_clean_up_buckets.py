"""Emptying a bucket: all versions, in batches, and what S3 keeps is told."""

import pytest
from botocore.exceptions import ClientError
from cleanup.buckets import BATCH, NotEmpty, delete_bucket, empty_bucket


class S3:
    """A versioned bucket that lists and deletes as S3 does, 1,000 at a time."""

    def __init__(self, versions, markers=0, keeps=(), writer=0):
        self.versions = {("Versions", f"k{n}", f"v{n}") for n in range(versions)}
        self.versions |= {("DeleteMarkers", f"k{n}", f"d{n}") for n in range(markers)}
        self.keeps = set(keeps)
        self.writer = writer  # how often somebody writes once all is deleted
        self.batches = []
        self.exists = True

    def get_paginator(self, operation):
        assert operation == "list_object_versions"
        return self

    def paginate(self, **request):
        assert request["PaginationConfig"]["PageSize"] <= 1000
        listed = sorted(self.versions)
        for at in range(0, max(1, len(listed)), 1000):
            page = {}
            for kind, key, version in listed[at : at + 1000]:
                page.setdefault(kind, []).append({"Key": key, "VersionId": version})
            yield page

    def delete_objects(self, **request):
        objects = [(o["Key"], o["VersionId"]) for o in request["Delete"]["Objects"]]
        assert 0 < len(objects) <= 1000
        self.batches.append(len(objects))
        kept = [o for o in objects if o[0] in self.keeps]
        self.versions = {v for v in self.versions if v[1:] not in objects or v[1] in self.keeps}
        if not self.versions and self.writer:
            self.writer -= 1
            self.versions = {("Versions", "late", f"w{self.writer}")}
        return {"Errors": [{"Key": k, "Code": "AccessDenied", "Message": "no"} for k, _ in kept]}

    def delete_bucket(self, **request):
        if self.versions:
            raise ClientError({"Error": {"Code": "BucketNotEmpty"}}, "DeleteBucket")
        self.exists = False


def test_old_versions_and_delete_markers_go_in_batches_that_s3_takes():
    s3 = S3(versions=2_300, markers=700)
    empty_bucket(s3, "b")
    assert s3.versions == set()
    assert sum(s3.batches) == 3_000
    assert max(s3.batches) == BATCH


def test_an_empty_bucket_needs_no_deletion():
    s3 = S3(versions=0)
    empty_bucket(s3, "b")
    assert s3.batches == []


def test_what_s3_keeps_is_told_by_name():
    with pytest.raises(NotEmpty, match="keeps 1 objects of b, k7 among them: no"):
        empty_bucket(S3(versions=20, keeps={"k7"}), "b")


def test_what_is_written_meanwhile_is_deleted_too():
    s3 = S3(versions=3, writer=2)
    delete_bucket(s3, "b")
    assert not s3.exists


def test_somebody_who_keeps_writing_is_told_of():
    with pytest.raises(NotEmpty, match="somebody still writes to b"):
        empty_bucket(S3(versions=1, writer=99), "b")

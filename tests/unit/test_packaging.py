"""The content prefix under which `package-lambdas` uploads."""

from package_lambdas import content_prefix


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


def test_the_prefix_follows_the_contents_not_the_order(tmp_path):
    one, two = write(tmp_path, "a.zip", b"1"), write(tmp_path, "b.zip", b"2")
    assert content_prefix([one, two]) == content_prefix([two, one])
    before = content_prefix([one, two])
    write(tmp_path, "b.zip", b"3")
    assert content_prefix([one, two]) != before


def test_the_prefix_is_one_the_template_accepts(tmp_path):
    prefix = content_prefix([write(tmp_path, "a.zip", b"1")])
    assert len(prefix) == 17
    assert prefix.endswith("/")

"""How stacks make the local SageMaker's resources."""

from __future__ import annotations

import pytest
from local_cloud.sagemaker import cfn


def test_a_notebook_that_never_comes_up_fails_its_stack(monkeypatch):
    monkeypatch.setattr(cfn, "PATIENCE", 0)
    handlers = cfn.Handlers(None, cfn.NOTEBOOK)
    monkeypatch.setattr(handlers, "_call", lambda *_: {"NotebookInstanceStatus": "Pending"})
    with pytest.raises(cfn.NotStabilized, match="lab is still Pending after 0 s, not InService"):
        handlers._settle("lab", "InService")

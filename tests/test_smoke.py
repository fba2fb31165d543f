import pytest
from tests import tiny

def test_tiny(tiny_model):
    c = tiny_model.check(tiny.SENTENCE)
    print(c.max_abs_diff, c.worst)
    assert c.passed
def test_tiny64(tiny_model):
    c = tiny_model.check(tiny.SENTENCE, float64=True)
    print(c.max_abs_diff)
    assert c.passed

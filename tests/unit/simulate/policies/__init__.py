"""Tests of the arms, on views that `views` builds: no engine but where a test says so."""

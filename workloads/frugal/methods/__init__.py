"""What techniques are made of: published methods as plain functions and small classes, without options or hooks.

A method that two techniques share, or that is easier to understand and test without a training around it, stands here.
"""

"""API paths of what Ballast reads and writes."""

from __future__ import annotations

from ballast.api import energyprofile, nodepower
from ballast.api.base import API_VERSION
from ballast.api.trainingjob import PLURAL

TRAINING_JOBS = f"/apis/{API_VERSION}/{PLURAL}"
NODE_POWERS = f"/apis/{API_VERSION}/{nodepower.PLURAL}"
ENERGY_PROFILES = f"/apis/{API_VERSION}/{energyprofile.PLURAL}"
JOBS = "/apis/batch/v1/jobs"
PODS = "/api/v1/pods"
NODES = "/api/v1/nodes"
PRIORITY_CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


def node_power(name: str) -> str:
    """A NodePower."""
    return f"{NODE_POWERS}/{name}"


def energy_profiles(namespace: str) -> str:
    """The EnergyProfiles of a namespace."""
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{energyprofile.PLURAL}"


def energy_profile(namespace: str, name: str) -> str:
    """An EnergyProfile."""
    return f"{energy_profiles(namespace)}/{name}"


def energy_profile_status(namespace: str, name: str) -> str:
    """The status subresource of an EnergyProfile."""
    return f"{energy_profile(namespace, name)}/status"


def node(name: str) -> str:
    """A node."""
    return f"{NODES}/{name}"


def node_status(name: str) -> str:
    """The status subresource of a node."""
    return f"{node(name)}/status"


def training_job(namespace: str, name: str) -> str:
    """A TrainingJob."""
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}/{name}"


def training_job_status(namespace: str, name: str) -> str:
    """The status subresource of a TrainingJob."""
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}/{name}/status"


def job(namespace: str, name: str) -> str:
    """A `batch/v1` Job."""
    return f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"


def service(namespace: str, name: str) -> str:
    """A Service."""
    return f"/api/v1/namespaces/{namespace}/services/{name}"


def pod(namespace: str, name: str) -> str:
    """A pod."""
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


def events(namespace: str) -> str:
    """The events of a namespace."""
    return f"/api/v1/namespaces/{namespace}/events"

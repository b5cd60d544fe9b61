"""The agent as the chart makes it: where it runs, what it sees of the node, and that nobody else is privileged."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.helm import real_agents, rendered

Objects = dict[tuple[str, str], dict[str, Any]]


def pod_of(objects: Objects) -> dict[str, Any]:
    """The agent's pod."""
    found: dict[str, Any] = objects["DaemonSet", "ballast-agent"]["spec"]["template"]["spec"]
    return found


def environment(objects: Objects) -> dict[str, Any]:
    """The agent's environment variables; a field of the pod as its path."""
    [container] = pod_of(objects)["containers"]
    return {
        each["name"]: each["value"] if "value" in each else each["valueFrom"]["fieldRef"]["fieldPath"]
        for each in container["env"]
    }


def pods(objects: Objects) -> dict[str, dict[str, Any]]:
    """Every pod of the chart by who makes it."""
    return {
        name: found["spec"]["template"]["spec"]
        for (kind, name), found in objects.items()
        if kind in {"DaemonSet", "Deployment", "Job"}
    }


def test_only_the_agent_has_privileges() -> None:
    found = pods(rendered())
    assert set(found) == {"ballast-agent", "ballast-operator", "ballast-uninstall"}
    for name in ("ballast-operator", "ballast-uninstall"):
        pod = found[name]
        assert not pod.keys() & {"hostPID", "hostNetwork", "hostIPC"}
        assert not [volume for volume in pod.get("volumes", ()) if "hostPath" in volume]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_the_agent_has_the_privileges_that_it_needs_and_a_file_system_that_it_cannot_write() -> None:
    pod = pod_of(rendered())
    [container] = pod["containers"]
    assert container["securityContext"] == {"privileged": True, "readOnlyRootFilesystem": True, "runAsUser": 0}
    assert (pod["hostPID"], pod["hostNetwork"], pod["dnsPolicy"]) == (True, True, "ClusterFirstWithHostNet")
    assert "hostIPC" not in pod
    writable = {each["name"] for each in container["volumeMounts"] if not each.get("readOnly")}
    assert writable == {"tmp", "state"}


def test_of_the_node_it_sees_sysfs_the_kubelets_socket_and_its_own_state() -> None:
    folders = {each["name"]: each["hostPath"]["path"] for each in pod_of(rendered())["volumes"] if "hostPath" in each}
    assert folders == {
        "sys": "/sys",
        "pod-resources": "/var/lib/kubelet/pod-resources",
        "state": "/var/lib/ballast/agent",
    }
    elsewhere = pod_of(rendered("--set", "agent.kubeletFolder=/var/snap/kubelet"))
    paths = [each["hostPath"]["path"] for each in elsewhere["volumes"] if each["name"] == "pod-resources"]
    assert paths == ["/var/snap/kubelet/pod-resources"]


def test_it_knows_its_node_by_the_pod_that_it_is() -> None:
    variables = environment(rendered())
    assert variables["BALLAST_AGENT_NODE_NAME"] == "spec.nodeName"
    assert variables["BALLAST_AGENT_HOST_IP"] == "status.hostIP"
    assert variables["BALLAST_AGENT_CGROUP_ROOT"] == "/host/sys/fs/cgroup"
    assert variables["BALLAST_AGENT_POWERCAP_ROOT"] == "/host/sys/class/powercap"
    assert variables["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert variables["NVIDIA_DRIVER_CAPABILITIES"] == "utility"


def test_a_setting_reaches_the_agent_as_a_person_wrote_it() -> None:
    variables = environment(rendered("--set-json", 'agent={"settings": {"operatorStaleSeconds": 1000000}}'))
    assert variables["BALLAST_AGENT_OPERATOR_STALE_SECONDS"] == "1000000"  # and not 1e+06
    assert variables["BALLAST_AGENT_SAMPLE_HERTZ"] == "1"


def test_its_ports_are_where_everybody_looks_for_them() -> None:
    objects = rendered("--set", "agent.httpPort=19445,agent.httpsPort=19444")
    [container] = pod_of(objects)["containers"]
    assert {each["name"]: each["containerPort"] for each in container["ports"]} == {"readings": 19444, "http": 19445}
    assert environment(objects)["BALLAST_AGENT_HTTP_PORT"] == "19445"
    assert environment(objects)["BALLAST_AGENT_HTTPS_PORT"] == "19444"
    [operator] = objects["Deployment", "ballast-operator"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "BALLAST_AGENT_PORT", "value": "19444"} in operator["env"]  # what it tells pods
    template = objects["DaemonSet", "ballast-agent"]["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "19445"


def test_it_runs_on_every_node_unless_told_otherwise() -> None:
    pod = pod_of(rendered())
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert "nodeSelector" not in pod
    assert "affinity" not in pod
    assert "runtimeClassName" not in pod
    assert pod["priorityClassName"] == "system-node-critical"
    told = pod_of(rendered("--set", "agent.runtimeClassName=nvidia,agent.nodeSelector.gpu=yes,agent.tolerations=null"))
    assert (told["runtimeClassName"], told["nodeSelector"]) == ("nvidia", {"gpu": "yes"})
    assert "tolerations" not in told


def test_it_has_time_to_put_the_gpus_back() -> None:
    assert pod_of(rendered())["terminationGracePeriodSeconds"] == 30


def test_further_volumes_come_beside_its_own() -> None:
    volume = '{"extraVolumes": [{"name": "nvml", "hostPath": {"path": "/lib/nvml"}}], "extraVolumeMounts": %s}'
    pod = pod_of(rendered("--set-json", "agent=" + volume % '[{"name": "nvml", "mountPath": "/lib/nvml"}]'))
    assert {each["name"] for each in pod["volumes"]} == {"tmp", "sys", "pod-resources", "state", "nvml"}
    assert pod["containers"][0]["volumeMounts"][-1] == {"name": "nvml", "mountPath": "/lib/nvml"}


def test_the_simulated_nvml_lies_where_the_linker_looks_for_the_drivers() -> None:
    pod = pod_of(rendered(*real_agents(operatorStaleSeconds=30)))
    mounts = {each["name"]: each for each in pod["containers"][0]["volumeMounts"]}
    assert mounts["nvml"]["mountPath"].endswith("-linux-gnu/libnvidia-ml.so.1")
    assert mounts["boards"]["mountPath"] == "/run/nvmlsim"
    assert pod["nodeSelector"]["type"] == "real"
    assert environment(rendered(*real_agents(operatorStaleSeconds=30)))["BALLAST_AGENT_OPERATOR_STALE_SECONDS"] == "30"


def test_agents_on_nodes_without_simulated_gpus_mount_none() -> None:
    pod = pod_of(rendered(*real_agents(simulated_gpus=False)))
    assert {each["name"] for each in pod["volumes"]} == {"tmp", "sys", "pod-resources", "state"}
    assert pod["nodeSelector"] == {"type": "real"}


def test_without_the_agent_nothing_of_it_is_there() -> None:
    objects = rendered("--set", "agent.enabled=false")
    assert not [name for _, name in objects if "agent" in name]
    policies = [name for kind, name in objects if kind == "ValidatingAdmissionPolicy"]
    assert policies == ["ballast-operator-node-labels"]  # it marks empty nodes all the same
    [container] = objects["Deployment", "ballast-operator"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "BALLAST_AGENTS", "value": "false"} in container["env"]
    rules = [*objects["ClusterRole", "ballast-operator"]["rules"], *objects["Role", "ballast-operator"]["rules"]]
    resources = {resource for rule in rules for resource in rule["resources"]}
    assert not resources & {"nodepowers", "certificatesigningrequests", "signers"}
    assert not [rule for rule in rules if "nodes" in rule["resources"] and "patch" in rule["verbs"]]
    assert not [rule for rule in rules if "ballast-agent-ca" in rule.get("resourceNames", ())]


def test_every_policy_is_in_force_and_fails_closed() -> None:
    objects = rendered()
    policies = {name: found for (kind, name), found in objects.items() if kind == "ValidatingAdmissionPolicy"}
    assert len(policies) == 3
    for name, policy in policies.items():
        assert policy["spec"]["failurePolicy"] == "Fail"
        binding = objects["ValidatingAdmissionPolicyBinding", name]
        assert binding["spec"] == {"policyName": name, "validationActions": ["Deny"]}


@pytest.mark.parametrize("name", ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Job"])
def test_what_uninstalling_needs_is_there_only_meanwhile(name: str) -> None:
    annotations = rendered()[name, "ballast-uninstall"]["metadata"]["annotations"]
    assert annotations["helm.sh/hook"] == "pre-delete"
    assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    assert annotations["helm.sh/hook-weight"] == ("0" if name == "Job" else "-1")


def test_uninstalling_can_do_without_a_hook() -> None:
    assert not [name for _, name in rendered("--set", "uninstall.enabled=false") if "uninstall" in name]


def test_the_authority_of_the_readings_is_left_to_the_operator() -> None:
    assert "data" not in rendered()["Secret", "ballast-agent-ca"]

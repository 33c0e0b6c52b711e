"""Several machines, as hosts of a network of their own: training over it, and the Dask cluster, also when one is lost.

Each host is a network namespace of this machine, and a virtual cable joins two of them. It needs root.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from pyarrow import parquet
from support import ROOT, SCRIPTS

from helpers import scenes
from whatchanged import many
from whatchanged.images import write_image

SCRIPT = SCRIPTS / "train_script.py"
PORT = 29511
PAIRS = 600


class Machines:
    """Two hosts and the cable between them."""

    def __init__(self):
        self.names = [f"course-{os.getpid()}-{number}" for number in (1, 2)]
        self.cables = [f"cable{number}" for number in (1, 2)]
        self.addresses = ["10.77.0.1", "10.77.0.2"]
        self.running = []

    def join(self):
        """Make the hosts and plug the cable in; False where that is not allowed."""
        if os.geteuid() or not shutil.which("ip"):
            return False
        if subprocess.run(["ip", "netns", "add", self.names[0]], capture_output=True, check=False).returncode:
            return False
        ip("netns", "add", self.names[1])
        one, other = self.cables
        ip("link", "add", one, "netns", self.names[0], "type", "veth", "peer", other, "netns", self.names[1])
        for name, cable, address in zip(self.names, self.cables, self.addresses, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", cable)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", cable, "up")
        return True

    def start(self, host, *command, log):
        """Start a command on a host (0 or 1); its process, which leads a session of its own."""
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "GLOO_SOCKET_IFNAME": self.cables[host],
        }
        with log.open("w") as out:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.names[host], *map(str, command)],
                cwd=ROOT,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def switch_off(self, host):
        """Kill every process of a host at once."""
        for number in self._processes(host):
            os.kill(number, signal.SIGKILL)

    def unplug(self):
        """Pull the cable: from now on packets vanish, and nobody is told."""
        for name, cable in zip(self.names, self.cables, strict=True):
            subprocess.run(["ip", "-n", name, "link", "set", cable, "down"], check=True)

    def remove(self):
        for host, name in enumerate(self.names):
            self.switch_off(host)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        for process in self.running:
            process.wait()

    def _processes(self, host):
        done = subprocess.run(["ip", "netns", "pids", self.names[host]], capture_output=True, text=True, check=False)
        return map(int, done.stdout.split())


def ip(*parts):
    subprocess.run(["ip", *parts], check=True)


@pytest.fixture
def machines():
    made = Machines()
    if not made.join():
        pytest.skip("hosts of a network can be made by root only, with the command ip")
    yield made
    made.remove()


# ---------------------------------------------------------------------------------------------------------------------
# Training


def accelerate(machines, host):
    """The launch that docs/scale.md tells of."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines=2"]
    command += ["--num_processes=2", f"--machine_rank={host}", f"--main_process_ip={machines.addresses[0]}"]
    return [*command, f"--main_process_port={PORT}", "--mixed_precision=no", "--dynamo_backend=no"]


def torchrun(machines, host):
    """The other one."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    return [*command, f"--node-rank={host}", f"--master-addr={machines.addresses[0]}", f"--master-port={PORT}"]


def train(machines, launcher, folder, output, *options):
    """Start the small training of tests/scripts/train_script.py on both hosts; the two processes."""
    command = [SCRIPT, folder, output, "--plain", *options]
    logs = [output.with_suffix(f".{host}.txt") for host in (0, 1)]
    return [machines.start(host, *launcher(machines, host), *command, log=logs[host]) for host in (0, 1)]


def alone(folder, output, *options):
    """The same training in one process; what it saved."""
    command = [sys.executable, SCRIPT, folder, output, "--plain", *options]
    subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True)
    return torch.load(output)


def wait(processes, output):
    """Their exit statuses; what they said is shown where a test fails."""
    try:
        return [process.wait(300) for process in processes]
    finally:
        for log in sorted(output.parent.glob(f"{output.stem}.*.txt")):
            print(log.name, log.read_text())


@pytest.mark.parametrize("launcher", [accelerate, torchrun])
def test_two_machines_train_the_model_that_one_trains(machines, tmp_path, launcher):
    seen = tmp_path / "seen"
    seen.mkdir()
    output = tmp_path / "two.pt"
    assert wait(train(machines, launcher, tmp_path / "two", output, "--seen", seen), output) == [0, 0]
    one, two = alone(tmp_path / "one", tmp_path / "one.pt"), torch.load(output)
    assert two["processes"] == 2
    for name, value in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], value, atol=1e-5, rtol=1e-4)
    read = [list(map(int, (seen / f"{rank}.txt").read_text().split())) for rank in (0, 1)]
    assert all(read)
    assert sorted(read[0] + read[1]) == sorted(3 * list(range(130))), "each sample once an epoch"


@pytest.mark.parametrize("host", [0, 1])
def test_training_goes_on_after_a_machine_was_lost(machines, tmp_path, host):
    """The other machine ends by itself; launched again, the two end where an undisturbed training does."""
    folder, output, seen = tmp_path / "two", tmp_path / "two.pt", tmp_path / "seen"
    seen.mkdir()
    epochs = ("--epochs", "40")
    processes = train(machines, accelerate, folder, output, *epochs)
    until(lambda: len(list(folder.glob("checkpoint-*[0-9]"))) > 1)
    machines.switch_off(host)
    assert all(wait(processes, output)), "both end, and say that they failed"
    assert not output.exists()
    assert wait(train(machines, accelerate, folder, output, *epochs, "--resume", "--seen", seen), output) == [0, 0]
    read = sum(len(path.read_text().split()) for path in seen.iterdir())
    assert 0 < read < 40 * 130, "the second launch did not begin anew"
    one = alone(tmp_path / "one", tmp_path / "one.pt", *epochs)
    for name, value in one["weights"].items():
        torch.testing.assert_close(torch.load(output)["weights"][name], value, atol=1e-4, rtol=1e-3)


def until(reached, patience=120):
    """Wait for something to become true."""
    end = time.monotonic() + patience
    while not reached():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


# ---------------------------------------------------------------------------------------------------------------------
# Dask


@pytest.mark.parametrize("accident", [Machines.unplug, lambda machines: machines.switch_off(1)], ids=["cable", "power"])
def test_the_pairs_of_a_lost_machine_are_done_again(machines, tmp_path, accident):
    """A scheduler, a worker and the command on one host, a worker on the other, which is lost with pairs in work."""
    pair = scenes.scene_pair(0, 0, changes=(1, 1))
    names = [str(write_image(tmp_path / f"{index}_before.png", pair.before)) for index in range(PAIRS)]
    for index in range(PAIRS):
        write_image(tmp_path / f"{index}_after.png", pair.after)
    address, scheduler, out = f"tcp://{machines.addresses[0]}:8786", tmp_path / "scheduler.log", tmp_path / "out"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", machines.addresses[0], "--no-dashboard"]
    machines.start(0, *dask, log=scheduler)
    for host in (0, 1):
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
        machines.start(host, *worker, log=tmp_path / f"worker{host}.log")
    until(lambda: scheduler.read_text().count("Register worker") == 2)
    code = "import sys; from whatchanged import many; many.PART = 16; "
    code += "from whatchanged.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "diff", "--pairs", tmp_path, "--scheduler", address, "--output-dir", out]
    client = machines.start(0, *command, log=tmp_path / "client.log")
    until(lambda: list((out / many.RESULTS).glob("*.parquet")))
    accident(machines)
    assert "Remove worker" not in scheduler.read_text()
    status = client.wait(300)
    print(scheduler.read_text(), (tmp_path / "client.log").read_text())
    assert status == 1, "there are differences"
    assert "Remove worker" in scheduler.read_text(), "the run ended before the loss was noticed"
    files = (out / many.RESULTS).glob("*.parquet")
    assert sorted(name for path in files for name in parquet.read_table(path)["before"].to_pylist()) == sorted(names)

"""Running agents and their broker, with all that was said on it."""

import json
import re
import signal
import subprocess
from pathlib import Path

import paho.mqtt.client as mqtt

from waiting import until

HALYARD = "/run/halyard"
PORT = 1883


class Broker:
    """Mosquitto, and a client that hears everything. Nothing is kept on disk: a restart forgets all that was retained."""

    def __init__(self):
        self.newest = {}
        self.all = []
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self.client.on_message = lambda _, __, message: self._hear(message)

    def _hear(self, message):
        self.all.append((message.topic, message.payload.decode()))
        self.newest[message.topic] = message.payload.decode()

    def start(self):
        command = ["mosquitto", "-p", str(PORT)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("the broker runs", self._connects)
        self.client.loop_start()
        until("the broker's witness is connected", self.client.is_connected)

    def _connects(self):
        try:
            return self.client.connect("127.0.0.1", PORT) == mqtt.MQTT_ERR_SUCCESS
        except OSError:
            return False

    def stop(self):
        self.client.loop_stop()
        self.process.terminate()
        self.process.wait(30)
        self.newest.clear()

    def say(self, topic, payload, retain=False):
        self.client.publish(topic, payload, 1, retain).wait_for_publish(30)

    def json(self, topic):
        payload = self.newest.get(topic)
        return json.loads(payload) if payload else None


class Agent:
    """`halyard run --simulate`"""

    def __init__(self, folder: Path, name: str, text: str):
        self.name = name
        self.file = folder / f"{name}.yaml"
        self.state = folder / f"{name}.state"
        self.log = folder / f"{name}.log"
        self.state.mkdir()
        self.write(text)
        self.id = re.search(r"^agent: *\n? *{? *id: ([\w-]+)", text, re.MULTILINE).group(1)

    def write(self, text):
        self.text = text
        self.file.write_text(text)

    def start(self):
        log = self.log.open("ab")
        environment = {"STATE_DIRECTORY": str(self.state), "PATH": "/usr/bin:/bin"}
        command = [HALYARD, "run", "--simulate", "-c", self.file]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def reload(self, text):
        self.write(text)
        self.process.send_signal(signal.SIGHUP)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(30)


def is_sound(folder: Path, text: str) -> bool:
    """Whether `halyard check` takes it."""
    file = folder / "candidate.yaml"
    file.write_text(text)
    return subprocess.run([HALYARD, "check", "-c", file], capture_output=True, check=False).returncode == 0


def at_this_broker(text: str) -> str:
    """A configuration of the repository, simulated, without a broker of its own."""
    text = re.sub(r"^broker:.*\n([ #].*\n)*", "", text, flags=re.MULTILINE)
    return f"board: simulated\n{text}"


def boards(folder: Path) -> list[str]:
    """Configurations with every driver: its own example, on the first board that has room for it."""
    drivers = json.loads(subprocess.run([HALYARD, "drivers", "--json"], capture_output=True, check=True).stdout)
    made: list[list[tuple[str, str]]] = []
    for driver in drivers:
        name = driver["name"]
        example = re.sub(r"^- id: .*", f"- id: {name}", driver["example"]).rstrip()
        parts = [(f"{driver['role']}s", example)]
        if driver["role"] == "expander":
            pin = f"line: {{ expander: {name}, pin: 3 }}"
            parts.append(("actuators", f"- {{ id: {name}-relay, driver: switch, {pin} }}"))
            if driver["gives"]["inputs"]:
                pin = f"line: {{ expander: {name}, pin: 4 }}"
                parts.append(("sensors", f"- {{ id: {name}-contact, driver: digital-input, {pin} }}"))
            if driver["gives"]["pulses"]:
                pin = f"pwm: {{ expander: {name}, pin: 5 }}"
                parts.append(("actuators", f"- {{ id: {name}-lamp, driver: light, frequency: 200Hz, {pin} }}"))
        for index, board in enumerate([*made, []]):
            if is_sound(folder, board_text(index, [*board, *parts])):
                made[index : index + 1] = [[*board, *parts]]
                break
        else:
            raise AssertionError(f"{name}: its example is not taken")
    return [board_text(index, board) for index, board in enumerate(made)]


def board_text(index: int, parts: list[tuple[str, str]]) -> str:
    text = f"agent: {{ id: board-{index} }}\nboard: simulated\n"
    for section in ["expanders", "sensors", "actuators"]:
        stanzas = [stanza for of, stanza in parts if of == section]
        text += "".join([f"{section}:\n", *(f"{stanza}\n" for stanza in stanzas)] if stanzas else [])
    return text

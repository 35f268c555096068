"""A running Home Assistant: its process, what a user does first, and its interface."""

import asyncio
import re
import subprocess
from pathlib import Path

import aiohttp
import requests

from waiting import until

URL = "http://127.0.0.1:8123"
CONFIGURATION = """
homeassistant: { name: Home, unit_system: metric, country: DE, time_zone: UTC, latitude: 50, longitude: 10 }
logger: { default: warning }
"""
# What it says of its surroundings here, not of Halyard.
ELSEWHERE = re.compile(
    r"\[(aiohttp_fast_zlib|haffmpeg\.\w+|homeassistant\.bootstrap|"
    r"homeassistant\.components\.(analytics|camera|ffmpeg|marketplace|network)\b[\w.]*)\]"
    r"|(component|entry .*for) (analytics|marketplace)"
)


class HomeAssistant:
    def __init__(self, folder: Path):
        self.folder = folder
        self.log = folder / "home-assistant.log"
        self.entries = []
        self.token = None
        folder.mkdir()
        (folder / "configuration.yaml").write_text(CONFIGURATION)

    def start(self):
        out = (self.folder / "out").open("ab")
        command = ["hass", "-c", self.folder, "--skip-pip", "--log-file", self.log]
        self.process = subprocess.Popen(command, stdout=out, stderr=out)
        until("Home Assistant runs", self.is_running, limit=300)

    def is_running(self):
        if self.process.poll() is not None:
            raise AssertionError(f"it ended: {(self.folder / 'out').read_text()[-2000:]}")
        try:
            if self.token is None:
                return requests.get(f"{URL}/api/onboarding", timeout=10).ok
            return self.get("config")["state"] == "RUNNING"
        except (requests.ConnectionError, requests.HTTPError):
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        # The next start begins a new log.
        self.entries += self.log_entries()

    def log_entries(self):
        """What it logged, each with its further lines."""
        return re.split(r"^(?=\d{4}-\d\d-\d\d )", self.log.read_text(), flags=re.MULTILINE)

    def complaints(self):
        """Warnings and errors of its logs, but for those of its surroundings."""
        entries = self.entries + (self.log_entries() if self.process.poll() is None else [])
        serious = re.compile(r"\S+ \S+ (WARNING|ERROR|CRITICAL) ")
        return [entry.rstrip() for entry in entries if serious.match(entry) and not ELSEWHERE.search(entry.splitlines()[0])]

    def onboard(self):
        """Creates the owner, as a user does at the first visit, and gets a token for what follows."""
        user = {"name": "Owner", "username": "owner", "password": "password", "client_id": f"{URL}/", "language": "en"}
        answer = requests.post(f"{URL}/api/onboarding/users", json=user, timeout=60)
        answer.raise_for_status()
        grant = {"grant_type": "authorization_code", "code": answer.json()["auth_code"], "client_id": f"{URL}/"}
        answer = requests.post(f"{URL}/auth/token", data=grant, timeout=60)
        answer.raise_for_status()
        self.token = answer.json()["access_token"]
        until("Home Assistant runs", self.is_running, limit=300)

    def add_mqtt(self, port):
        """Adds the integration by its dialogue."""
        form = self.post("config/config_entries/flow", {"handler": "mqtt"})
        assert form.get("step_id") == "broker", form
        settings = {"broker": "127.0.0.1", "port": port}
        if any(field["name"] == "other_settings" for field in form["data_schema"]):
            settings["other_settings"] = {"set_client_cert": False, "set_ca_cert": "off"}
        done = self.post(f"config/config_entries/flow/{form['flow_id']}", settings)
        assert done["type"] == "create_entry", done

    def repairs(self):
        """What it wants to be repaired, but for how it was installed here."""
        return [issue for issue in self.ask("repairs/list_issues")["issues"] if issue["issue_id"] != "deprecated_method"]

    def header(self):
        return {"Authorization": f"Bearer {self.token}"}

    def get(self, path):
        answer = requests.get(f"{URL}/api/{path}", headers=self.header(), timeout=60)
        answer.raise_for_status()
        return answer.json()

    def post(self, path, body):
        answer = requests.post(f"{URL}/api/{path}", headers=self.header(), json=body, timeout=60)
        if not answer.ok:
            raise AssertionError(f"{path} {body}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    def call(self, service, entity, **data):
        """Calls a service such as `switch.turn_on`."""
        self.post(f"services/{service.replace('.', '/')}", {"entity_id": entity, **data})

    def states(self):
        return {state["entity_id"]: state for state in self.get("states")}

    def registry(self):
        """Its entities of MQTT, by their unique ids."""
        entities = self.ask("config/entity_registry/list")
        return {entity["unique_id"]: entity for entity in entities if entity["platform"] == "mqtt"}

    def delete_device(self, identifier):
        """Deletes a device of MQTT, as a user does, and gives its id."""
        devices = self.ask("config/device_registry/list")
        device = next(device for device in devices if ["mqtt", identifier] in device["identifiers"])
        (entry,) = device["config_entries"]
        self.ask("config/device_registry/remove_config_entry", device_id=device["id"], config_entry_id=entry)
        return device["id"]

    def ask(self, kind, **data):
        """Sends a command on its websocket, and returns the result."""
        return asyncio.run(self._ask({"id": 1, "type": kind, **data}))

    async def _ask(self, message):
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{URL}/api/websocket", max_msg_size=0) as socket,
        ):
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self.token})
            assert (await socket.receive_json())["type"] == "auth_ok"
            await socket.send_json(message)
            answer = await socket.receive_json()
            assert answer["success"], answer
            return answer["result"]

"""What must hold between Halyard and a running Home Assistant. Run by `try`, inside the Debian that it made."""

import json
import signal
import sys
from pathlib import Path

import commands
from halyard import Agent, Broker, PORT, at_this_broker, boards
from home_assistant import HomeAssistant
from waiting import passed, until

RUN = Path("/run")
# What Home Assistant says of its own doings: when its broker goes away …
OWN = [
    "Disconnected from MQTT server",
    "Failed to connect to MQTT server",
    "Error returned from MQTT server: The connection was lost",
    "failed to receive on socket",
    "Error talking to MQTT: The client is not currently connected",
    # … and when it deletes a device, once for each entity; 2026 would rather be asked in another way.
    "No device components to cleanup for board-1",
    "config/device_registry/remove_config_entry is deprecated",
]


class Stand:
    """A broker, a Home Assistant, and agents with every driver."""

    def __init__(self):
        self.broker = Broker()
        self.home = HomeAssistant(RUN / "home")
        folder = RUN / "agents"
        folder.mkdir()
        self.agents = [Agent(folder, f"board-{index}", text) for index, text in enumerate(boards(folder))]
        for file in sorted((RUN / "configurations").glob("*.yaml")):
            self.agents.append(Agent(folder, file.stem, at_this_broker(file.read_text())))

    def discovery(self, agent):
        return self.broker.json(f"homeassistant/device/{agent.id}/config")

    def components(self, agent):
        return self.discovery(agent)["components"]

    def all_components(self):
        return [component for agent in self.agents for component in self.components(agent).values()]

    def is_announced(self, agent):
        """Announced, with the first state of each entity."""
        if agent.process.poll() is not None:
            raise AssertionError(f"{agent.name} ended: {agent.log.read_text()[-2000:]}")
        message = self.discovery(agent)
        if message is None:
            return f"{agent.name} has not announced anything"
        for component in message["components"].values():
            for topic in [entry["topic"] for entry in component["availability"]]:
                if self.broker.newest.get(topic) != "online":
                    return f"{topic} is {self.broker.newest.get(topic)}"
            topic = component.get("state_topic")
            if topic and component["platform"] != "event" and self.broker.json(topic) is None:
                return f"nothing on {topic}"
        return True

    def until_announced(self):
        for agent in self.agents:
            until(f"{agent.name} is at work", lambda agent=agent: self.is_announced(agent), limit=120)

    def shown(self, agents=None):
        """Whether Home Assistant shows everything as it is, else what it does not."""
        states, registry = self.home.states(), self.home.registry()
        for agent in agents or self.agents:
            device = self.discovery(agent)["device"]["name"]
            for component in self.components(agent).values():
                wrong = self.wrong(component, device, states, registry)
                if wrong:
                    return f"{component['default_entity_id']}: {wrong}"
        return True

    def wrong(self, component, device, states, registry):
        entity = registry.get(component["unique_id"])
        if entity is None:
            return "not in its registry"
        if entity["entity_id"] != component["default_entity_id"]:
            return f"is called {entity['entity_id']}"
        if entity["disabled_by"]:
            return f"disabled by {entity['disabled_by']}"
        state = states.get(entity["entity_id"])
        if state is None:
            return "has no state"
        attributes = state["attributes"]
        if attributes.get("friendly_name") != f"{device} {component['name']}":
            return f"is shown as {attributes.get('friendly_name')}"
        for key in ["unit_of_measurement", "device_class", "state_class"]:
            # 2026 makes the Greek letter of the micro sign.
            if (attributes.get(key) or "").replace("μ", "µ") != component.get(key, ""):
                return f"{key} is {attributes.get(key)}"
        said = self.broker.json(component["state_topic"]) if "state_topic" in component else None
        return commands.differs(component, said, state)

    def is_gone(self, agents):
        """Whether everything of these agents is unavailable."""
        states = self.home.states()
        for agent in agents:
            for component in self.components(agent).values():
                state = states[component["default_entity_id"]]["state"]
                if state != "unavailable":
                    return f"{component['default_entity_id']} is {state}"
        return True


def starts(stand):
    stand.broker.start()
    stand.home.start()
    stand.home.onboard()
    stand.home.add_mqtt(PORT)
    passed(f"Home Assistant {stand.home.get('config')['version']} runs, with {len(stand.agents)} agents to come")
    for agent in stand.agents:
        agent.start()
    stand.until_announced()
    until("Home Assistant shows everything", stand.shown)
    platforms = [component["platform"] for component in stand.all_components()]
    counts = ", ".join(f"{platforms.count(platform)} {platform}" for platform in sorted(set(platforms)))
    passed(f"all {len(platforms)} entities are there, with name, unit, classes and state: {counts}")


def obeys(stand):
    for agent in stand.agents:
        for component in stand.components(agent).values():
            if "command_topic" in component or component["platform"] == "event":
                commands.exercise(stand, component)
    until("Home Assistant shows everything", stand.shown)
    passed("everything is shown as it is, after that")


def shows_refusals(stand):
    agent = next(agent for agent in stand.agents if agent.id == "greenhouse")
    components = stand.components(agent)
    valve, pump = (commands.Actuator(stand, components[key]) for key in ["valve-state", "pump-state"])
    valve.call("switch.turn_on")
    valve.reaches("turned on", "ON")
    pump.call("switch.turn_on")
    until("the pump is refused", lambda: pump.result().get("reason") == "interlock")
    pump.reaches("still off", "OFF")
    valve.call("switch.turn_off")
    valve.reaches("turned off", "OFF")
    passed("a pump that must not be on beside a valve is not, and is not shown so")


def becomes_unavailable(stand):
    agents = stand.agents[:2]
    for agent in agents:
        agent.end(signal.SIGKILL)
    until("what killed agents had is unavailable", lambda: stand.is_gone(agents))
    until("everything else is shown as it was", lambda: stand.shown(stand.agents[2:]))
    for agent in agents:
        agent.start()
    until("it is back", stand.shown)
    passed("killed agents: all of theirs is unavailable, nothing else, and comes back with them")
    for agent in agents:
        agent.end(signal.SIGTERM)
    until("what stopped agents had is unavailable", lambda: stand.is_gone(agents))
    for agent in agents:
        agent.start()
    stand.until_announced()
    until("it is back", stand.shown)
    passed("stopped agents: the same")
    # As an agent says it of a broken part.
    component = stand.components(agents[0])
    key = next(iter(component))
    topic = component[key]["availability"][1]["topic"]
    stand.broker.say(topic, "offline", retain=True)
    own = [other for other in component.values() if other["availability"][1]["topic"] == topic]

    def gone():
        states = stand.home.states()
        return all(states[other["default_entity_id"]]["state"] == "unavailable" for other in own)

    until(f"{key} alone is unavailable", gone)
    unavailable = [name for name, state in stand.home.states().items() if state["state"] == "unavailable"]
    assert sorted(unavailable) == sorted(other["default_entity_id"] for other in own), unavailable
    stand.broker.say(topic, "online", retain=True)
    until("it is back", stand.shown)
    passed("one entity that is offline: it alone is unavailable")


def forgets(stand):
    agent = next(agent for agent in stand.agents if agent.id == "greenhouse")
    before = dict(stand.components(agent))
    text = agent.text
    without_door, rest = text.split("  - id: door\n")
    _, actuators = rest.split("\nactuators:\n")
    # The door goes, the heater becomes a lamp.
    heater = actuators.index("  - id: heater"), actuators.index("  - id: pump")
    lamp = "  - { id: heater, driver: light, pwm: { chip: pwmchip0, channel: 0 } }\n\n"
    actuators = actuators[: heater[0]] + lamp + actuators[heater[1] :]
    agent.reload(f"{without_door}\nactuators:\n{actuators}")
    gone = [before[key] for key in ["door-state", "heater-state"]]

    def forgotten():
        registry, states = stand.home.registry(), stand.home.states()
        for component in gone:
            left = registry.get(component["unique_id"], {"entity_id": None})["entity_id"]
            if left == component["default_entity_id"] or component["default_entity_id"] in states:
                return f"{component['default_entity_id']} is still there"
        return "light.greenhouse_heater" in states or "there is no lamp"

    until("what a reload removed is gone", forgotten)
    until("what it has now is shown", stand.shown)
    passed("a reload without a sensor: its entity is gone; with a lamp for a switch: the other kind is there")
    agent.reload(text)
    until("what a reload brings back is there", lambda: "door-state" in stand.components(agent) and stand.shown())
    passed("a reload with both again: they are there")
    agent.end()
    agent.write(f"{without_door}\nactuators:\n{actuators}")
    agent.start()
    until("what is gone at a start is gone", forgotten)
    until("what it has now is shown", stand.shown)
    agent.reload(text)
    until("what a reload brings back is there", lambda: "door-state" in stand.components(agent) and stand.shown())
    passed("the same over a restart of the agent")


def is_deleted(stand):
    agent = next(agent for agent in stand.agents if agent.id == "board-1")
    device = stand.home.delete_device(f"halyard.{agent.id}")
    until("its discovery message is cleared", lambda: not stand.broker.newest[f"homeassistant/device/{agent.id}/config"])
    unique_ids = {entity["unique_id"] for entity in stand.home.registry().values() if entity["device_id"] == device}
    assert not unique_ids, unique_ids
    agent.end()
    agent.start()
    until("it is announced again", lambda: stand.discovery(agent) and stand.is_announced(agent))
    until("it is back", stand.shown)
    passed("a device that the user deletes: it is gone, and comes back with the agent's next start")


def survives(stand):
    stand.home.stop()
    stand.home.start()
    until("Home Assistant shows everything after its restart", stand.shown, limit=120)
    passed("Home Assistant's restart: everything is back")
    stand.home.stop()
    stand.broker.stop()
    stand.broker.start()
    stand.until_announced()
    stand.home.start()
    until("Home Assistant shows everything after both restarts", stand.shown, limit=120)
    passed("a broker that lost everything, while Home Assistant was down: everything is back")
    stand.broker.stop()
    until("without a broker all is unavailable", lambda: all_unavailable(stand))
    stand.broker.start()
    stand.until_announced()
    until("Home Assistant shows everything after the broker's restart", stand.shown, limit=120)
    passed("a broker that lost everything, before its eyes: everything is back")


def all_unavailable(stand):
    states, registry = stand.home.states(), stand.home.registry()
    available = [entity["entity_id"] for entity in registry.values() if states[entity["entity_id"]]["state"] != "unavailable"]
    return not available or f"{available[:3]} are not"


def complains_of_nothing(stand, but=()):
    complaints = [line for line in stand.home.complaints() if not any(known in line for known in but)]
    assert not complaints, "Home Assistant complains:\n" + "\n".join(complaints)
    issues = stand.home.repairs()
    assert not issues, f"Home Assistant asks for repairs: {json.dumps(issues)}"


def main(stand):
    starts(stand)
    complains_of_nothing(stand)
    passed("no warning, no error, nothing to repair so far")
    obeys(stand)
    shows_refusals(stand)
    becomes_unavailable(stand)
    forgets(stand)
    complains_of_nothing(stand)
    passed("no warning, no error, nothing to repair so far")
    is_deleted(stand)
    survives(stand)
    complains_of_nothing(stand, OWN)
    passed("no warning, no error, nothing to repair, but of its own doings")


stand = Stand()
try:
    main(stand)
except AssertionError as error:
    print(f"FAILED: {error}", file=sys.stderr)
    print("\n".join(["Home Assistant's log ends with", *stand.home.complaints()[-20:]]), file=sys.stderr)
    sys.exit(1)

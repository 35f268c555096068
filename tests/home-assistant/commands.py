"""What each kind of entity shows of a state, and what it makes of Home Assistant's services."""

import json

from waiting import passed, until


def differs(component, said, state):
    """How Home Assistant's state of an entity differs from what was said on MQTT; nothing if it does not."""
    platform, shown, attributes = component["platform"], state["state"], state["attributes"]
    key = component["unique_id"].rsplit(".", 1)[1]
    value = said.get(key) if said else None
    wrong = f"shows {shown} {attributes} for {said}"
    match platform:
        case _ if shown == "unavailable":
            return wrong
        case "button" | "event":
            return None
        case "device_tracker":
            place = (attributes.get("latitude"), attributes.get("longitude"))
            return None if place == (said["latitude"], said["longitude"]) else wrong
        case "cover":
            return None if is_cover_at(value, shown, attributes.get("current_position")) else wrong
        case _ if value is None:
            return None if shown == "unknown" else wrong
        case "sensor" | "number":
            return None if is_near(shown, value) else wrong
        case "binary_sensor" | "switch":
            return None if shown == value.lower() else wrong
        case "text":
            # Home Assistant's states have 255 characters.
            return None if shown == value[:255] else wrong
        case "light":
            brightness = attributes.get("brightness") if value else 0
            level = None if brightness is None else brightness * 100 / 255
            return None if (shown == "on") == (value > 0) and level is not None and abs(level - value) <= 1 else wrong
        case "fan":
            percentage = attributes.get("percentage") if value else 0
            return None if (shown == "on") == (value > 0) and percentage == -(-value // 1) else wrong
        case _:
            return f"is a {platform}, which nobody here knows"


def is_cover_at(value, shown, position):
    # Home Assistant has no way to forget a position.
    if value is None:
        return shown == "unknown"
    return shown == ("closed" if value == 0 else "open") and position is not None and abs(position - value) < 1


def is_near(shown, value):
    try:
        return abs(float(shown) - value) <= 1e-6 * max(1, abs(value))
    except ValueError:
        return False


class Actuator:
    """One actuator, as Home Assistant's user and as MQTT see it."""

    def __init__(self, stand, component):
        self.stand, self.component = stand, component
        self.entity = component["default_entity_id"]

    def call(self, service, **data):
        self.stand.home.call(service, self.entity, **data)

    def said(self):
        state = self.stand.broker.json(self.component["state_topic"])
        return state and state["state"]

    def result(self):
        return self.stand.broker.json(self.component["command_topic"].replace("/set", "/result"))

    def reaches(self, what, value):
        """Waits for a value on MQTT, and until Home Assistant shows it."""

        def there():
            said = self.said()
            if not (value(said) if callable(value) else said == value):
                return f"it is {said}, after {self.result()}"
            state = self.stand.home.states()[self.entity]
            return differs(self.component, self.stand.broker.json(self.component["state_topic"]), state) or True

        until(f"{self.entity}: {what}", there)


def exercise(stand, component):
    """Has an actuator do what Home Assistant can ask for."""
    platform = component["platform"]
    actuator = Actuator(stand, component)
    if platform == "button":
        return
    {
        "cover": move_cover,
        "event": press,
        "fan": turn_fan,
        "light": dim_light,
        "number": set_number,
        "switch": turn_switch,
        "text": write_text,
    }[platform](actuator)
    passed(f"{actuator.entity} does what it is told, and shows it")


def turn_switch(actuator):
    actuator.call("switch.turn_on")
    actuator.reaches("turned on", "ON")
    actuator.call("switch.turn_off")
    actuator.reaches("turned off", "OFF")
    actuator.call("switch.toggle")
    actuator.reaches("toggled", "ON")
    actuator.call("switch.toggle")
    actuator.reaches("toggled back", "OFF")


def dim_light(actuator):
    actuator.call("light.turn_on", brightness_pct=40)
    actuator.reaches("at 40 %", 40)
    actuator.call("light.turn_off")
    actuator.reaches("turned off", 0)
    actuator.call("light.turn_on")
    actuator.reaches("at 40 % again", 40)
    actuator.call("light.turn_on", brightness=1)
    actuator.reaches("at its darkest", lambda level: 0 < level <= 1)
    actuator.call("light.turn_on", brightness=255)
    actuator.reaches("at its brightest", 100)
    actuator.call("light.turn_off")
    actuator.reaches("turned off", 0)


def turn_fan(actuator):
    actuator.call("fan.set_percentage", percentage=40)
    actuator.reaches("at 40 %", 40)
    actuator.call("fan.turn_off")
    actuator.reaches("turned off", 0)
    actuator.call("fan.turn_on")
    actuator.reaches("at 40 % again", 40)
    actuator.call("fan.turn_on", percentage=100)
    actuator.reaches("at its fastest", 100)
    actuator.call("fan.set_percentage", percentage=0)
    actuator.reaches("turned off", 0)


def set_number(actuator):
    component = actuator.component
    low, high, step = component["min"], component["max"], component["step"]
    for number in [high, low, low + step * ((high - low) / step // 3)]:
        actuator.call("number.set_value", value=number)
        actuator.reaches(f"set to {number}", lambda value, number=number: value is not None and abs(value - number) <= step)
    stop = component["unique_id"].replace(".state", ".stop")
    stop = next((other for other in actuator.stand.all_components() if other["unique_id"] == stop), None)
    if stop:
        actuator.call("number.set_value", value=high)
        actuator.reaches("on its way", lambda value: value is not None and low + (high - low) / 2 < value < high)
        actuator.stand.home.call("button.press", stop["default_entity_id"])
        actuator.reaches("stopped before its end", lambda value: value < high)
        at = actuator.said()
        actuator.call("number.set_value", value=low)
        actuator.reaches("back at its least", low)
        assert at < high, at


def move_cover(actuator):
    actuator.call("cover.open_cover")
    actuator.reaches("open", 100)
    actuator.call("cover.set_cover_position", position=60)
    actuator.reaches("at 60 %", 60)
    actuator.call("cover.close_cover")
    actuator.reaches("on its way", lambda value: value < 50)
    actuator.call("cover.stop_cover")
    actuator.reaches("stopped on its way", lambda value: 0 < value < 50)
    actuator.call("cover.close_cover")
    actuator.reaches("closed", 0)


def write_text(actuator):
    longest = "x" * actuator.component["max"]
    for text in ["Hello", "ON", "12.50", '{"value": "x"}', "it's \"quoted\" \\ {{ 1 }}", longest, ""]:
        actuator.call("text.set_value", value=text)
        actuator.reaches(f"shows {text}", text)


def press(actuator):
    """As an agent says it of a button that was pressed: nobody presses one in a simulation."""
    home, broker, component = actuator.stand.home, actuator.stand.broker, actuator.component
    before = home.states()[actuator.entity]["state"]
    for kind in component["event_types"]:
        broker.say(component["state_topic"], json.dumps({"time": "2026-11-22T10:00:00.240Z", "state": "OFF", "event": kind}))

        def told(kind=kind, before=before):
            state = home.states()[actuator.entity]
            return state["state"] != before and state["attributes"].get("event_type") == kind

        until(f"{actuator.entity}: {kind}", told)
        before = home.states()[actuator.entity]["state"]

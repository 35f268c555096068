"""Prints what Home Assistant's integrations need that are set up by default, and `mqtt`: requirements for pip."""

import json
from pathlib import Path

from homeassistant import bootstrap

INTEGRATIONS = Path(bootstrap.__file__).parent / "components"

seen = set()
# `mqtt` has a look at `hassio`, whether it is there or not.
to_do = {"mqtt", "hassio", *bootstrap.CORE_INTEGRATIONS, *bootstrap.DEFAULT_INTEGRATIONS}
requirements = set()
while to_do:
    integration = to_do.pop()
    seen.add(integration)
    manifest = json.loads((INTEGRATIONS / integration / "manifest.json").read_text())
    requirements.update(manifest.get("requirements", []))
    to_do.update(set(manifest.get("dependencies", [])) - seen)
print("\n".join(sorted(requirements)))

"""What the local stack adds to the command line `paystream`: its commands and its known errors."""

COMMANDS = {
    "up": "devstack.cli.up:up",
    "demo": "devstack.cli.demo:demo",
    "load": "devstack.cli.load:load",
    "settle-day": "devstack.cli.settle_day:settle_day",
    "doctor": "devstack.cli.doctor:doctor",
    "generate": "paystream.cli.generate:generate",
    "install-kafka": "devstack.cli.install_kafka:install_kafka",
}
"""Command -> where it is; a command is imported when it is called."""
KNOWN_ERRORS = frozenset(
    {
        "devstack.services.child.ChildFailedError",
        "devstack.services.kafka_jars.JarsMissingError",
        "devstack.services.ports.NoFreePortError",
        "devstack.supervisor.state_dir.StateDirInUseError",
        "devstack.supervisor.supervisor.GaveUpError",
        "devstack.supervisor.supervisor.StartFailedError",
        "devstack.traffic.api_client.GaveUpError",
        "devstack.traffic.registration.RegistrationError",
        "devstack.traffic.drain.NotSettledError",
    }
)
"""Errors whose message is for people, by name: none is imported before it is raised."""

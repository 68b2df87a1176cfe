"""`paystream doctor`: can this machine run the stack?"""

from rich.table import Table

from paystream.cli.output import console, print_json


def doctor(*, json: bool = False) -> int:
    """Check Python, disk, memory, ports, jars and packages; say what to do about each.

    Example: paystream doctor

    Args:
        json: Print JSON.
    """
    from devstack.doctor import run

    checks = run()
    if json:
        print_json([check._asdict() for check in checks])
    else:
        table = Table("check", "well", "finding")
        for check in checks:
            table.add_row(check.name, "[green]yes" if check.ok else "[red]no", check.finding)
        console.print(table)
    return 0 if all(check.ok for check in checks) else 1

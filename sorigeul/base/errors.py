"""What went wrong, said once, in one line. Knows nothing of where it is shown."""


class UserError(Exception):
    """A user's mistake or bad input.

    The message is one line: it names the thing at fault and the remedy. The command line prints it
    after ``error:`` and exits with status 2.
    """

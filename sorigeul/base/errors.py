"""The exception for a user's mistake: a message of one line. Does not know where it is shown."""


class UserError(Exception):
    """A user's mistake or bad input.

    The message is one line: it names the thing at fault and the remedy. The command line prints it
    after ``error:`` and exits with status 2.
    """

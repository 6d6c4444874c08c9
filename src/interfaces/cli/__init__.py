"""The command line for operators: the commands of `leadport` besides `serve` and `migrate`."""

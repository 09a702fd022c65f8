"""What tests share: a fake Focus, a command runner, assertions."""

from hardware_mocks.cli import main

main(prog_name="python -m hardware_mocks")

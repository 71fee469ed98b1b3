from sorigeul.cli import main

main()

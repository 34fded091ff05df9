from rlpips.study.compare import main

main()

from rlpips.training.heads import main

main()

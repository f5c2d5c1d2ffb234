"""Operations of CloudFormation: begun, followed to their end, judged; and how all goes away."""

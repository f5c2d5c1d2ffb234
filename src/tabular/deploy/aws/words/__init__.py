"""The vocabulary of AWS and of CloudFormation, which all compilers share."""

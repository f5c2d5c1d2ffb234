"""AWS: the spec compiled to one CloudFormation template, applied by change sets."""

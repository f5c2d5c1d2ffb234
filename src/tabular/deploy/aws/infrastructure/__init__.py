"""What a deployment is made of on AWS, by the kind of thing; plain functions to CloudFormation."""

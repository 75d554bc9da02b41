"""GetCallerIdentity by boto3, signed in as boto3 does by default. Argument: URL of STS."""

import sys

import boto3

boto3.client("sts", endpoint_url=sys.argv[1]).get_caller_identity()

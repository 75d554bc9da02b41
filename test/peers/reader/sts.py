"""GetCallerIdentity by boto3, signed in as boto3 does by default.

Arguments: URL of STS, and the seconds after which to ask again with the same client, if at all.
"""

import sys
import time

import boto3

client = boto3.client("sts", endpoint_url=sys.argv[1])
client.get_caller_identity()
if len(sys.argv) > 2:
    time.sleep(int(sys.argv[2]))
    client.get_caller_identity()

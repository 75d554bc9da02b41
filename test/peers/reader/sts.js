// GetCallerIdentity by the AWS SDK for JavaScript, signed in by its default chain. Argument: URL of STS.
const { GetCallerIdentityCommand, STSClient } = require("@aws-sdk/client-sts");
const { defaultProvider } = require("@aws-sdk/credential-provider-node");

const client = new STSClient({ credentials: defaultProvider(), endpoint: process.argv[2] });
client.send(new GetCallerIdentityCommand({})).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});

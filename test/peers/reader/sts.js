// GetCallerIdentity by the AWS SDK for JavaScript, signed in by its default chain. Arguments: URL of STS, and the seconds
// after which to ask again with the same client, if at all.
const { GetCallerIdentityCommand, STSClient } = require("@aws-sdk/client-sts");
const { defaultProvider } = require("@aws-sdk/credential-provider-node");

const [url, pause] = process.argv.slice(2);
const client = new STSClient({ credentials: defaultProvider(), endpoint: url });
const ask = () => client.send(new GetCallerIdentityCommand({}));
const wait = () => new Promise((done) => setTimeout(done, pause * 1000));
(pause ? ask().then(wait).then(ask) : ask()).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});

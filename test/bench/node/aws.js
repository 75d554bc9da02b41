// The exchange by the AWS SDK for JavaScript. Arguments: URL of STS, role, file with the step's token.
const { readFileSync } = require("node:fs");
const { AssumeRoleWithWebIdentityCommand, STSClient } = require("@aws-sdk/client-sts");

const [endpoint, role, file] = process.argv.slice(2);
const client = new STSClient({ endpoint, region: "eu-west-1" });
client
  .send(
    new AssumeRoleWithWebIdentityCommand({
      RoleArn: role,
      RoleSessionName: "bitbucket-shop-42",
      WebIdentityToken: readFileSync(file, "utf8"),
    }),
  )
  .catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });

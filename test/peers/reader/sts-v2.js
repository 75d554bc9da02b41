// GetCallerIdentity by the AWS SDK for JavaScript v2, signed in by its default chain. Argument: URL of STS, which this SDK
// does not take from the environment, neither for the call nor for an exchange of its own.
const AWS = require("aws-sdk");

AWS.config.update({ maxRetries: 0, sts: { endpoint: process.argv[2] } });
new AWS.STS().getCallerIdentity({}, (error) => {
  if (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
});

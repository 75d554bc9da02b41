// The exchange by google-auth-library. Argument: the credential file that a login left.
const { GoogleAuth } = require("google-auth-library");

const scopes = "https://www.googleapis.com/auth/cloud-platform";
new GoogleAuth({ keyFile: process.argv[2], scopes }).getAccessToken().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});

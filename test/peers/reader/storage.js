// A call of Cloud Storage by google-auth-library, signed in by its default chain. Argument: URL of the API.
const { GoogleAuth } = require("google-auth-library");

const auth = new GoogleAuth({ scopes: "https://www.googleapis.com/auth/cloud-platform" });
auth
  .getClient()
  .then((client) => client.request({ url: `${process.argv[2]}/storage/v1/b` }))
  .catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });

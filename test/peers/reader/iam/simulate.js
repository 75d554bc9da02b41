// Verdicts of @cloud-copilot/iam-simulate on trust policies. Standard input: a line of JSON for each, {issuer, context, policy}.
// Standard output: a line for each, Allowed, ExplicitlyDenied, ImplicitlyDenied, or what the simulator refuses.
//
// The simulator silently drops the condition keys of issuers with a path, and Bitbucket's has one, so that the policy is asked
// about as if the issuer were Google, which it knows. Of several audiences it would take the first, so that these stand under a
// key of the action that has several values.
const { createInterface } = require("node:readline");
const { runSimulation } = require("@cloud-copilot/iam-simulate");

const google = "accounts.google.com";
const account = "123456789012";

async function verdict({ issuer, context, policy }) {
  const several = Array.isArray(context[issuer + ":aud"]);
  const asGoogle = (value) => {
    const text = JSON.stringify(value).replace(new RegExp(issuer, "gi"), google);
    return JSON.parse(several ? text.replace(new RegExp(google + ":aud", "gi"), "sts:TransitiveTagKeys") : text);
  };
  const answer = await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${account}:oidc-provider/${google}`,
        action: "sts:AssumeRoleWithWebIdentity",
        resource: { resource: `arn:aws:iam::${account}:role/deploy`, accountId: account },
        contextVariables: asGoogle(context),
      },
      identityPolicies: [],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      resourcePolicy: asGoogle(policy),
    },
    {},
  );
  if (answer.resultType !== "single") {
    return "refused: " + JSON.stringify(answer.errors);
  }
  const ignored = answer.result.ignoredContextKeys;
  return ignored.length > 0 ? "ignored: " + ignored.join(" ") : answer.overallResult;
}

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(await verdict(JSON.parse(line)));
  }
})();

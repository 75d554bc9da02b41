// Connects to a server of the Model Context Protocol and makes the calls that standard input lists, one JSON object a line. The client
// validates each structured answer against the schema that the tool announces.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const resolve = createRequire(process.env.MODULES + '/').resolve;
const load = (name) => import(pathToFileURL(resolve('@modelcontextprotocol/sdk/client/' + name)).href);
const { Client } = await load('index.js');
const { StdioClientTransport } = await load('stdio.js');

const [command, ...args] = process.argv.slice(2);
const client = new Client({ name: 'peers', version: '1' });
await client.connect(new StdioClientTransport({ command, args, env: process.env }));
const { tools } = await client.listTools();
const { resourceTemplates } = await client.listResourceTemplates();
const { resources } = await client.listResources();
const { prompts } = await client.listPrompts();
console.log(JSON.stringify({
  tools: tools.map((t) => t.name), templates: resourceTemplates.map((t) => t.uriTemplate), resources: resources.map((r) => r.uri), prompts: prompts.map((p) => p.name),
  readOnly: tools.every((t) => t.annotations.readOnlyHint && !t.annotations.destructiveHint && !t.annotations.openWorldHint),
}));
for await (const line of createInterface({ input: process.stdin })) {
  const { tool, args, uri, prompt } = JSON.parse(line);
  let answer;
  if (uri) answer = await client.readResource({ uri });
  else if (prompt) answer = await client.getPrompt({ name: prompt, arguments: args });
  else answer = await client.callTool({ name: tool, arguments: args });
  console.log(JSON.stringify(answer));
}
await client.close();

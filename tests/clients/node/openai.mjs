// openai-node against $BASE_URL; prints what it got as one JSON object. What is right is said in test_node.py.
import OpenAI from "openai";

const client = new OpenAI({
  baseURL: process.env.BASE_URL,
  apiKey: "sk-mine",
  maxRetries: 0,
  defaultHeaders: { "x-tailrace-session": process.env.SESSION },
});
const text = "Hello dear world, 水車";
const messages = [{ role: "user", content: text }];
const parameters = { type: "object", properties: { city: { type: "string" } } };
const got = {};

const plain = await client.chat.completions.create({ model: "echo", messages });
got.plain = plain.choices[0].message.content;

got.streamed = "";
const options = { include_usage: true };
for await (const chunk of await client.chat.completions.create({
  model: "echo", messages, stream: true, stream_options: options,
})) {
  got.streamed += chunk.choices[0]?.delta.content ?? "";
  if (chunk.usage) got.usage = chunk.usage.total_tokens;
}

const tools = [{ type: "function", function: { name: "weather", parameters } }];
const called = await client.chat.completions
  .stream({ model: "tools", messages: [{ role: "user", content: "Rome" }], tools })
  .finalMessage();
got.tool = called.tool_calls[0].function.arguments;

const response = await client.responses.create({ model: "reasoning", input: text });
got.response = response.output_text;
got.events = [];
for await (const event of await client.responses.create({ model: "echo", input: "one", stream: true })) {
  got.events.push(event.type);
}
got.kept = (await client.responses.retrieve(response.id)).output_text;

const embedded = await client.embeddings.create({ model: "echo", input: ["one", "two"], dimensions: 8 });
got.embedded = embedded.data.map((one) => one.embedding.length);

const file = await client.files.create({
  file: new File([new Uint8Array(300000)], "train.jsonl"), purpose: "fine-tune",
});
got.file = [file.filename, file.bytes];

const stream = await client.chat.completions.create({ model: "stall-after-3", messages, stream: true });
for await (const chunk of stream) {
  got.left = chunk.object;
  break; // which aborts the call
}

try {
  await client.chat.completions.create({ model: "429-quota", messages });
} catch (error) {
  got.error = [error.status, error.code];
}
console.log(JSON.stringify(got));

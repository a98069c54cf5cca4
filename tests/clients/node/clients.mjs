// The Node clients through the proxy at argv[2]; prints one JSON line for each thing that was done.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import OpenAI from "openai";

const baseURL = `${process.argv[2]}/v1`;
const text = "Hello dear world";
const say = (what, value) => console.log(JSON.stringify({ what, value }));

const openai = new OpenAI({ baseURL, apiKey: "mine", maxRetries: 0 });
const messages = [{ role: "user", content: text }];
const plain = await openai.chat.completions.create({ model: "echo", messages });
say("openai chat", plain.choices[0].message.content);
let streamed = "";
for await (const chunk of await openai.chat.completions.create({ model: "echo", messages, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
}
say("openai stream", streamed);
say("openai responses", (await openai.responses.create({ model: "echo", input: text })).output_text);
say("openai embeddings", (await openai.embeddings.create({ model: "echo", input: "x" })).data[0].embedding.length > 0);

const sdk = createOpenAI({ baseURL, apiKey: "mine" });
say("ai-sdk responses", (await generateText({ model: sdk("echo"), prompt: text, maxRetries: 0 })).text);
say("ai-sdk chat", (await generateText({ model: sdk.chat("echo"), prompt: text, maxRetries: 0 })).text);
let piped = "";
for await (const piece of streamText({ model: sdk("echo"), prompt: text, maxRetries: 0 }).textStream) piped += piece;
say("ai-sdk responses stream", piped);
const compatible = createOpenAICompatible({ name: "tailrace", baseURL, apiKey: "mine" });
say("ai-sdk compatible", (await generateText({ model: compatible("echo"), prompt: text, maxRetries: 0 })).text);

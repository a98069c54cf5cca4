// The Vercel AI SDK against $BASE_URL; prints what it got as one JSON object. What is right is said in test_node.py.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const headers = { "x-tailrace-session": process.env.SESSION };
const baseURL = process.env.BASE_URL;
const openai = createOpenAI({ baseURL, apiKey: "sk-mine", headers });
const compatible = createOpenAICompatible({ name: "tailrace", baseURL, apiKey: "sk-mine", headers, includeUsage: true });
const prompt = "Hello dear world, 水車";
const kinds = {
  responses: (model) => openai(model),
  chat: (model) => openai.chat(model),
  compatible: (model) => compatible(model),
};
const tools = {
  weather: tool({
    description: "The weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `18 C in ${city}`,
  }),
};
const got = {};

for (const [name, of] of Object.entries(kinds)) {
  const seen = (got[name] = {});
  const common = { prompt, maxRetries: 0 };
  seen.plain = (await generateText({ model: of("echo"), ...common })).text;
  const streamed = streamText({ model: of("echo"), ...common });
  seen.streamed = "";
  for await (const piece of streamed.textStream) seen.streamed += piece;
  seen.finish = await streamed.finishReason;
  seen.usage = (await streamed.usage).outputTokens > 0;
  const looped = await generateText({
    model: of("tools"), prompt: "Rome", tools, stopWhen: stepCountIs(3), maxRetries: 0,
  });
  seen.looped = looped.text;
  const schema = z.object({ name: z.string(), days: z.number() });
  if (name !== "compatible") seen.object = (await generateObject({ model: of("json"), schema, ...common })).object;
}
const { embeddings } = await embedMany({ model: openai.embedding("echo"), values: ["one", "two"], maxRetries: 0 });
got.embedded = embeddings.map((one) => one.length);
console.log(JSON.stringify(got));

// Drives an unmodified SDK. It reads one JSON object from its input, {sdk, url, calls…}, makes the
// calls one after the other and writes a JSON array with what the SDK made of each: what it
// returned, or the error with its class, and how many requests that took.
"use strict";

const read = async () => {
  const parts = [];
  for await (const part of process.stdin) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString());
};

// bedrock is @aws-sdk/client-bedrock-runtime with an endpoint and credentials, and all else as it is.
const bedrock = async (job, call) => {
  const sdk = require("@aws-sdk/client-bedrock-runtime");
  const client = new sdk.BedrockRuntimeClient({
    region: "eu-central-1",
    endpoint: job.url + "/bedrock",
    ...(job.credentials && { credentials: job.credentials }),
    ...call.client,
  });
  const result = { requests: 0 };
  // Next to the connection, behind retries and signatures: what is sent, and what comes back.
  client.middlewareStack.add(
    (next) => async (args) => {
      result.requests++;
      const { headers } = args.request;
      result.signed = (/SignedHeaders=([^,]*)/.exec(headers.authorization) ?? [])[1];
      if (call.tamper === "body") args.request.body = String(args.request.body).replace("hello", "jello");
      const answer = await next(args);
      result.headers = Object.fromEntries(Object.entries(answer.response.headers).map(([k, v]) => [k, String(v)]));
      if (call.tamper === "replay") {
        const { response } = await next(args);
        result.replayed = response.statusCode + " " + response.headers["x-amzn-errortype"];
      }
      return answer;
    },
    { step: "deserialize", priority: "low", name: "watch" },
  );
  const commands = {
    converse: sdk.ConverseCommand,
    "converse-stream": sdk.ConverseStreamCommand,
    invoke: sdk.InvokeModelCommand,
    "invoke-stream": sdk.InvokeModelWithResponseStreamCommand,
    "count-tokens": sdk.CountTokensCommand,
  };
  try {
    const out = await client.send(new commands[call.op](call.input));
    result.attempts = out.$metadata.attempts;
    if (call.op === "converse") {
      Object.assign(result, { stop: out.stopReason, usage: out.usage, message: out.output.message });
      result.text = out.output.message.content.map((c) => c.text ?? "").join("");
    } else if (call.op === "count-tokens") {
      result.text = String(out.inputTokens);
    } else if (call.op === "invoke") {
      result.text = Buffer.from(out.body).toString();
    } else {
      await listen(out, result);
    }
  } catch (e) {
    result.error = { name: e.name, message: e.message, status: e.$metadata?.httpStatusCode, typed: typeof sdk[e.name] === "function" && e instanceof sdk[e.name] };
    result.attempts = e.$metadata?.attempts;
  } finally {
    client.destroy();
  }
  return result;
};

// listen reads a stream of Bedrock's as the SDK's documentation shows it.
const listen = async (out, result) => {
  Object.assign(result, { text: "", deltas: 0, arguments: "" });
  for await (const e of out.stream ?? out.body) {
    if (e.contentBlockStart?.start?.toolUse) result.tool = e.contentBlockStart.start.toolUse;
    if (e.contentBlockDelta) {
      result.deltas++;
      result.text += e.contentBlockDelta.delta.text ?? "";
      result.arguments += e.contentBlockDelta.delta.toolUse?.input ?? "";
    }
    if (e.messageStop) result.stop = e.messageStop.stopReason;
    if (e.metadata) result.usage = e.metadata.usage;
    if (e.chunk) result.text += JSON.parse(Buffer.from(e.chunk.bytes).toString()).delta?.text ?? "";
  }
};

// openai is the npm package of that name.
const openai = async (job, call) => {
  const { OpenAI } = require("openai");
  const result = { requests: 0 };
  const client = new OpenAI({
    apiKey: job.key,
    baseURL: job.url + "/v1",
    fetch: async (...args) => {
      result.requests++;
      const answer = await fetch(...args);
      result.headers = Object.fromEntries(answer.headers);
      return answer;
    },
    ...call.client,
  });
  try {
    if (call.op === "embeddings") {
      const out = await client.embeddings.create(call.input);
      result.vectors = out.data.map((d) => d.embedding.length);
      result.usage = out.usage;
      return result;
    }
    const out = await client.chat.completions.create(call.input);
    if (!call.input.stream) {
      const choice = out.choices[0];
      return Object.assign(result, { text: choice.message.content ?? "", stop: choice.finish_reason, message: choice.message, usage: out.usage });
    }
    Object.assign(result, { text: "", deltas: 0, arguments: "" });
    for await (const chunk of out) {
      const choice = chunk.choices[0];
      if (chunk.usage) result.usage = chunk.usage;
      if (!choice) continue;
      result.deltas++;
      result.text += choice.delta.content ?? "";
      const tool = choice.delta.tool_calls?.[0];
      if (tool?.function?.name) result.tool = { toolUseId: tool.id, name: tool.function.name };
      result.arguments += tool?.function?.arguments ?? "";
      if (choice.finish_reason) result.stop = choice.finish_reason;
    }
  } catch (e) {
    result.error = { name: e.constructor.name, message: e.message, status: e.status, code: e.code, type: e.type, should: e.headers?.get?.("x-should-retry") };
  }
  return result;
};

read().then(async (job) => {
  const results = [];
  for (const call of job.calls) results.push(await { bedrock, openai }[job.sdk](job, call));
  process.stdout.write(JSON.stringify(results));
});

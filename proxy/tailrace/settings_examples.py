"""Providers as tables of the settings: what a user uncomments in `deploy/tailrace.example.toml`. Data.

Base URLs and ways of carrying a key are from each vendor's documentation (autumn 2026).
"""

from typing import Final

PROVIDERS: Final = """\
# Azure OpenAI, v1 API: a model's name is its deployment's.
[providers.azure]
base_url = "https://NAME.openai.azure.com/openai/v1"
api_key = "env:AZURE_OPENAI_API_KEY"
auth = "api-key"

# Azure OpenAI, dated API: the deployment stands in the path.
[providers.azure-dated]
base_url = "https://NAME.openai.azure.com/openai/deployments/{model}"
api_key = "env:AZURE_OPENAI_API_KEY"
auth = "api-key"
query = {api-version = "2024-10-21"}

[providers.openrouter]
base_url = "https://openrouter.ai/api/v1"
api_key = "env:OPENROUTER_API_KEY"
headers = {HTTP-Referer = "https://your.example", X-Title = "Your application"}

[providers.groq]
base_url = "https://api.groq.com/openai/v1"
api_key = "env:GROQ_API_KEY"

[providers.together]
base_url = "https://api.together.ai/v1"
api_key = "env:TOGETHER_API_KEY"

[providers.fireworks]
base_url = "https://api.fireworks.ai/inference/v1"
api_key = "env:FIREWORKS_API_KEY"

# It refuses fields that it does not know, and sends usage unasked.
[providers.mistral]
base_url = "https://api.mistral.ai/v1"
api_key = "env:MISTRAL_API_KEY"
stream_usage = false

[providers.deepseek]
base_url = "https://api.deepseek.com/v1"
api_key = "env:DEEPSEEK_API_KEY"

[providers.anthropic]
base_url = "https://api.anthropic.com/v1"
api_key = "env:ANTHROPIC_API_KEY"
dialect = "anthropic"

[providers.gemini]
base_url = "https://generativelanguage.googleapis.com/v1beta"
api_key = "env:GEMINI_API_KEY"
dialect = "gemini"

# vLLM, started with --api-key; without it: api_key = "none".
[providers.vllm]
base_url = "http://127.0.0.1:8000/v1"
api_key = "env:VLLM_API_KEY"
list_models = true

[providers.ollama]
base_url = "http://127.0.0.1:11434/v1"
api_key = "none"
list_models = true

# llama.cpp's server answers as many calls at once as it has slots (--parallel).
[providers.llamacpp]
base_url = "http://127.0.0.1:8080/v1"
api_key = "none"
max_concurrency = 4
"""

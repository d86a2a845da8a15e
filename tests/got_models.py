"""GOT-OCR 2.0 with few and random weights, built and saved by transformers' own classes: what it reads is noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<imgpad>"]
# As the real one: 256 tokens for a picture, from 64 x 64 patches.
_PATCHES = 64
_PATCH = 4


def write_checkpoint(folder: Path, seed: int = 7) -> Path:
    """A checkpoint of about 300 kB that answers with whatever its weights make of a page. Needs torch."""
    import torch
    from transformers import GotOcr2Config, GotOcr2ForConditionalGeneration

    processor = _processor()
    torch.manual_seed(seed)
    config = GotOcr2Config(
        vision_config={
            "hidden_size": 16,
            "output_channels": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "image_size": _PATCHES * _PATCH,
            "patch_size": _PATCH,
            "global_attn_indexes": [],
            "mlp_dim": 32,
            "initializer_range": 0.2,
        },
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(processor.tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "initializer_range": 0.5,
        },
        image_token_index=processor.tokenizer.convert_tokens_to_ids("<imgpad>"),
    )
    model = GotOcr2ForConditionalGeneration(config)
    model.generation_config.eos_token_id = processor.tokenizer.convert_tokens_to_ids("<|endoftext|>")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _processor() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GotOcr2ImageProcessorPil, GotOcr2Processor, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["You should follow the instructions carefully", "OCR with format"], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=SPECIAL[0], eos_token=SPECIAL[0])
    size = {"height": _PATCHES * _PATCH, "width": _PATCHES * _PATCH}
    return GotOcr2Processor(GotOcr2ImageProcessorPil(size=size), fast)

"""The bridges to Nipype: interfaces as stages, stages as nodes, workflows remembered."""

"""What the lab notebook calls: find the stacks, look at data, upload, push, follow, ask the API.

The notebooks hold no logic of their own. All of this needs boto3, NumPy, Pillow, matplotlib and
IPython only, which every SageMaker notebook instance has, and git with the AWS CLI.
"""

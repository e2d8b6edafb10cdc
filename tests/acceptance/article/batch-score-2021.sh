# The line sequence of November 2021. $DATA is a folder of files, $FILE one file.
set -e
ENDPOINT_NAME=batch-$RANDOM

az extension add -n ml -y
az account set -s 00000000-0000-0000-0000-000000000000
az configure --defaults group=default workspace=default location=local

check() {
  STATUS=$(az ml job show -n $1 --query status -o tsv)
  echo $STATUS
  if [[ $STATUS == "Completed" ]]; then
    echo "Job completed"
  elif [[ $STATUS == "Failed" ]]; then
    echo "Job failed"; exit 1
  else
    echo "Job status not failed or completed"; exit 2
  fi
}

az ml compute create -n batch-cluster --type amlcompute --min-instances 0 --max-instances 5
az ml batch-endpoint create --name $ENDPOINT_NAME
az ml batch-deployment create --name nonmlflowdp --endpoint-name $ENDPOINT_NAME --file endpoints/batch/nonmlflow-deployment.yml --set-default
az ml batch-endpoint show --name $ENDPOINT_NAME
az ml batch-deployment show --name nonmlflowdp --endpoint-name $ENDPOINT_NAME

JOB_NAME=$(az ml batch-endpoint invoke --name $ENDPOINT_NAME --input-path folder:$DATA --query name -o tsv)
az ml job show -n $JOB_NAME --web
az ml job stream -n $JOB_NAME
check $JOB_NAME

OUTPUT_FILE_NAME=predictions_$RANDOM.csv
JOB_NAME=$(az ml batch-endpoint invoke --name $ENDPOINT_NAME --input-path folder:$DATA --output-path folder:azureml://datastores/workspaceblobstore/paths/$ENDPOINT_NAME --set output_file_name=$OUTPUT_FILE_NAME --mini-batch-size 20 --instance-count 5 --query name -o tsv)
az ml job stream -n $JOB_NAME
check $JOB_NAME
az ml job download --name $JOB_NAME --download-path $DOWNLOADS/second
mv $DOWNLOADS/second/$OUTPUT_FILE_NAME $DOWNLOADS/second/predictions.csv

az ml batch-deployment list-jobs --name nonmlflowdp --endpoint-name $ENDPOINT_NAME --query [].name

az ml batch-deployment create --name mlflowdp --endpoint-name $ENDPOINT_NAME --file endpoints/batch/second-deployment.yml
DEFAULT=$(az ml batch-endpoint show --name $ENDPOINT_NAME --query defaults.deployment_name -o tsv)
[[ $DEFAULT == nonmlflowdp ]]
JOB_NAME=$(az ml batch-endpoint invoke --name $ENDPOINT_NAME --deployment-name mlflowdp --input-path file:$FILE --query name -o tsv)
az ml job stream -n $JOB_NAME
check $JOB_NAME

az ml batch-endpoint update --name $ENDPOINT_NAME --defaults deployment_name=mlflowdp
JOB_NAME=$(az ml batch-endpoint invoke --name $ENDPOINT_NAME --input-local-path $FILE --query name -o tsv)
az ml job stream -n $JOB_NAME
check $JOB_NAME
az ml job download --name $JOB_NAME --download-path $DOWNLOADS/last

az ml batch-endpoint show --name $ENDPOINT_NAME --query scoring_uri -o tsv
az ml batch-deployment delete --name nonmlflowdp --endpoint-name $ENDPOINT_NAME --yes
az ml batch-endpoint delete --name $ENDPOINT_NAME --yes
az ml job show -n $JOB_NAME --query status -o tsv
